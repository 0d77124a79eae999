"""Shows the telemetry of devices and the drift of songs: sparklines, charts, texts."""
