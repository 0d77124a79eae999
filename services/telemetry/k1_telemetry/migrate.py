"""Migrates the schema `telemetry` up or down: `python -m k1_telemetry.migrate [up|down]`."""

from pathlib import Path
from typing import Final

from k1_platform.postgres.migrations import Migrations, main

MIGRATIONS: Final = Migrations("telemetry", Path(__file__).with_name("migrations"))
migrate = MIGRATIONS.run

if __name__ == "__main__":
    main(MIGRATIONS)
