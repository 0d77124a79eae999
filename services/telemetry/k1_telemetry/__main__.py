"""Runs the telemetry service as `python -m k1_telemetry`."""

from k1_telemetry.app import main

if __name__ == "__main__":
    main()
