"""The drift of devices against the map of a song."""
