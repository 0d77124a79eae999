"""The gateway's HTTP API as the commands use it."""
