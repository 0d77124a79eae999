"""The history of telemetry: reads samples and rollups for charts."""
