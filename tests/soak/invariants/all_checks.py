"""Makes the checks of all subjects."""

from collections.abc import Callable, Iterable
from typing import Final

from tests.soak.activities import Activities
from tests.soak.invariants import (
    alarms,
    deployments,
    messages,
    objects,
    sessions,
    telemetry,
    tracks,
    webhooks,
)
from tests.support.system import System

Check = Callable[[System, Activities], Iterable[str]]
CHECKS: Final[tuple[Check, ...]] = (
    tracks.uploads_are_tracks,
    tracks.edits_are_kept,
    tracks.versions_have_maps,
    deployments.accepted_ones_are_kept,
    deployments.nothing_is_locked,
    sessions.sign_ins_are_sessions,
    objects.references_and_objects_agree,
    messages.nothing_is_given_up,
    webhooks.uploads_were_delivered,
    webhooks.events_were_delivered_as_one,
    webhooks.requests_were_right,
    webhooks.records_agree_with_the_receiver,
    telemetry.devices_are_stored_now,
    telemetry.messages_are_stored_once,
    telemetry.rollups_agree_with_samples,
    telemetry.digests_have_every_value,
    telemetry.minutes_of_tracks_agree_with_devices,
    telemetry.nothing_is_in_quarantine,
    alarms.conditions_that_ended_are_cleared,
    alarms.levels_reached_are_rows,
    alarms.rows_were_published_once,
    alarms.rows_follow_each_other,
)


def find_violations(system: System, activities: Activities) -> list[str]:
    """Return a text for each violated invariant."""
    found: list[str] = []
    for check in CHECKS:
        try:
            found += check(system, activities)
        except Exception as error:  # noqa: BLE001  a check that cannot be made is a violation too
            found.append(f"{check.__module__}.{check.__name__} could not be checked: {error!r}")
    return found
