"""Runs one of the benchmarks of telemetry and prints its table.

python -m benchmarks.telemetry rate [READINGS_PER_S] [SECONDS] [PACKED] [PROCESSES]
                                                                           500 devices; PACKED readings a message
python -m benchmarks.telemetry system [READINGS_PER_S] [SECONDS] [PACKED]  the same on a whole system
python -m benchmarks.telemetry growth [SECONDS]                            10, 100 and 1,000 devices
python -m benchmarks.telemetry store [SECONDS]                             the store alone against a bare COPY
python -m benchmarks.telemetry query [DEVICES] [FOLDER]                    aggregates by minute over seven days;
                                                                           FOLDER keeps the tables for another run
"""

import sys
from pathlib import Path

from benchmarks.telemetry import bus, query, store

DEVICES = 500
DEFAULTS = (50_000, 60, 20, 1)


def main() -> None:
    """Run the benchmark that the command line names."""
    name, *rest = sys.argv[1:] or ["store"]
    if name == "query":
        query.run(int(rest[0]) if rest else 100, Path(rest[1]) if len(rest) > 1 else None)
        return
    numbers = [float(each) for each in rest]
    if name in {"rate", "system"}:
        per_s, seconds, packed, processes = [*numbers, *DEFAULTS[len(numbers) :]][:4]
        load = bus.Load(DEVICES, per_s, int(packed), seconds, int(processes))
        bus.run([load], bus.measure if name == "rate" else bus.measure_system)
    elif name == "growth":
        bus.run(
            [bus.Load(devices, devices * 10, 1, numbers[0] if numbers else 20) for devices in (10, 100, 1000)]
        )
    elif name == "store":
        store.run(numbers[0] if numbers else 10)
    else:
        sys.exit(f"no benchmark {name!r}; there are rate, system, growth, store and query")


if __name__ == "__main__":
    main()
