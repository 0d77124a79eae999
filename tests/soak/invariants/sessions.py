"""Checks the sessions of people."""

from collections.abc import Iterator

from tests.soak.activities import Activities
from tests.support.system import System


def sign_ins_are_sessions(system: System, activities: Activities) -> Iterator[str]:
    """Every sign-in that was answered is a session."""
    stored = {row["id"] for row in system.sql("SELECT id FROM accounts.sessions")}
    if missing := set(activities.sessions) - stored:
        yield f"sessions are missing: {sorted(missing)[:5]}"
