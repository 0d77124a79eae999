"""Migrates the database schemas of all services in one process, because the imports take longer than the work."""

import runpy
from typing import Final

MODULES: Final = (
    "k1_catalogue.migrate",
    "k1_deploy.migrate",
    "k1_accounts.migrate",
    "k1_webhooks.migrate",
    "k1_telemetry.migrate",
)

if __name__ == "__main__":
    for module in MODULES:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
