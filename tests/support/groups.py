"""Decides which tests share a worker, and which of these groups start first."""

import re
from typing import Final

SHARED_GROUPS: Final = {
    "tests/e2e/test_deployments.py": "system with devices",
    "tests/e2e/": "system",
    "tests/chaos/test_kills": "system",
    "tests/upgrades/": "system",
    "tests/web/": "web",
}
"""Groups of tests that share a running system, by the prefix of their ids; other tests are grouped by file."""
SLOWEST_FIRST: Final = (
    "system",
    "deployments 0",
    "deployments 1",
    "services/analysis/tests/engine/test_golden.py",
    "web",
    "system with devices",
    "cli/tests/commands/fleet/test_deployment_commands.py",
    "cli/tests/stack/test_supervisor.py",
    "services/telemetry/tests/leadership/test_leadership.py",
    "services/deploy/tests/deployments/test_failures.py",
    "services/deploy/tests/deployments/test_takeover.py",
    "simulator/tests/links/test_link.py",
    "services/gateway/tests/live/test_telemetry_stream.py",
    "simulator/tests/transfers/test_transfers.py",
    "services/deploy/tests/saga/test_saga_machine.py",
    "cli/tests/test_command_line.py",
    "cli/tests/stack/embedded/test_embedded_stack.py",
)
"""Groups that start before all others, because a slow one that starts late would delay the end."""
_SEEDED_RUN: Final = re.compile(
    r"tests/chaos/test_deployments\.py::test_a_deployment_survives_chaos\[(\d+)\]"
)
_HARNESSES: Final = 2
"""A seeded run mostly waits for a lease or a device, so two harnesses side by side take half the time."""


def group_of(nodeid: str) -> str:
    """Return the group of a test; the tests of a group run on one worker, one after the other."""
    if seeded := _SEEDED_RUN.match(nodeid):
        return f"deployments {int(seeded[1]) % _HARNESSES}"
    path = nodeid.partition("::")[0]
    return next((group for start, group in SHARED_GROUPS.items() if nodeid.startswith(start)), path)
