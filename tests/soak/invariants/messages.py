"""Checks the messages of the bus."""

from collections.abc import Iterator

from tests.soak.activities import Activities
from tests.support.system import System


def nothing_is_given_up(system: System, _: Activities) -> Iterator[str]:
    """There is no dead letter."""
    yield from (f"dead letter of {each.durable}: {each.reason}" for each in system.dead_letters())
