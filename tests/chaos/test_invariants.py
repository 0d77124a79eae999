"""Shows that the checks of the chaos tests can fail."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from k1_contracts.messages.telemetry import DeviceOffline, DeviceOnline
from tests.chaos.gateway_invariants import (
    find_deployment_violations,
    find_feed_violations,
    find_upload_violations,
)
from tests.chaos.presence_invariants import PresenceHistory
from tests.chaos.presence_invariants import find_violations as find_presence_violations

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ONLINE = DeviceOnline(device_id="d", at=NOW)
BYE = DeviceOffline(device_id="d", reason="bye", last_seen=NOW, at=NOW)
SILENCE = DeviceOffline(device_id="d", reason="silence", last_seen=NOW, at=NOW + timedelta(seconds=5))


@pytest.mark.parametrize(
    ("violated", "events", "read_after_s"),
    [
        (None, [ONLINE, BYE], []),
        (None, [ONLINE, SILENCE, ONLINE, BYE], [0.0, 5.5]),
        ("online, silence, online, bye", [ONLINE, SILENCE, ONLINE, BYE], [0.0, 1.0]),
        ("online, online, bye", [ONLINE, ONLINE, BYE], []),
        ("online, bye, bye", [ONLINE, BYE, BYE], []),
        ("nothing", [], []),
        ("as online,", [ONLINE], []),
        ("as bye,", [BYE], []),
        ("bye, online", [BYE, ONLINE], []),
        ("online, true silence", [ONLINE, SILENCE], []),
    ],
)
def test_a_wrong_presence_history_is_a_violation(
    violated: str | None, events: list[DeviceOnline | DeviceOffline], read_after_s: list[float]
) -> None:
    """An event that is doubled, lost, invented or out of order; a true silence is allowed."""
    readings = {"d": [NOW + timedelta(seconds=seconds) for seconds in read_after_s]}
    found = find_presence_violations(PresenceHistory(events, readings), ["d"])
    assert (found == []) if violated is None else (len(found) == 1 and violated in found[0]), found


def test_a_bye_may_be_lost_to_a_killed_leader_and_nothing_else() -> None:
    """A device that left meanwhile may end silent; it may not stay online, nor be silent while it sends."""

    def violations(*events: DeviceOnline | DeviceOffline, readings: list[datetime]) -> list[str]:
        return find_presence_violations(
            PresenceHistory(events, {"d": readings}), ["d"], left_during_kill=["d"]
        )

    assert violations(ONLINE, SILENCE, readings=[]) == []
    assert violations(ONLINE, readings=[])
    assert violations(ONLINE, SILENCE, readings=[NOW + timedelta(seconds=1)])
    assert violations(ONLINE, SILENCE, SILENCE, readings=[])


@pytest.mark.parametrize(
    ("violated", "drifts", "notices", "connections"),
    [
        (None, [0.0, 1.0, 2.0, -1.0], [], 2),
        ("samples [0.0, 1.0]", [0.0, 1.0], [], 2),
        ("samples [0.0, 1.0, 1.0, 2.0]", [0.0, 1.0, 1.0, 2.0], [], 2),
        ("samples [0.0, 2.0, 1.0]", [0.0, 2.0, 1.0], [], 2),
        ("notice missed", [0.0, 1.0, 2.0], ["missed"], 2),
        ("survived", [0.0, 1.0, 2.0], [], 1),
    ],
)
def test_a_wrong_feed_is_a_violation(
    violated: str | None, drifts: list[float], notices: list[str], connections: int
) -> None:
    """A lost, doubled or misplaced sample, a notice, and a connection that was not broken."""
    found = find_feed_violations(drifts, notices, connections, 3)
    assert (found == []) if violated is None else (len(found) == 1 and violated in found[0]), found


@pytest.mark.parametrize(
    ("violated", "tracks", "status", "uploaded"),
    [
        (None, ["a", "b"], "queued", {"a": 1, "b": 1}),
        ("a was accepted 2 times", ["a", "a"], "queued", {"a": 1}),
        ("b has 0 events", ["a", "b"], "queued", {"a": 1}),
        ("b has 2 events", ["a", "b"], "queued", {"a": 1, "b": 2}),
        ("status existing", ["a"], "existing", {"a": 1}),
    ],
)
def test_a_wrong_upload_is_a_violation(
    violated: str | None, tracks: list[str], status: str, uploaded: dict[str, int]
) -> None:
    """An upload that was lost or doubled, and a retry that its key did not identify."""
    receipts = [{"track_id": track, "status": status} for track in tracks]
    found = find_upload_violations(receipts, Counter(uploaded))
    assert (found == []) if violated is None else found == [violated]


@pytest.mark.parametrize(
    ("violated", "responses", "listed", "requested"),
    [
        (None, ["a", "a"], ["a"], ["a"]),
        ("the responses name ['a', 'b']", ["a", "b"], ["a"], ["a"]),
        ("2 deployments are listed", ["a"], ["a", "b"], ["a"]),
        ("0 deployments are listed", ["a"], [], ["a"]),
        ("2 commands are on the stream", ["a"], ["a"], ["a", "a"]),
        ("the deployments differ", ["a"], ["b"], ["a"]),
    ],
)
def test_a_wrong_deployment_is_a_violation(
    violated: str | None, responses: list[str], listed: list[str], requested: list[str]
) -> None:
    """A deployment that was lost, doubled or not the one of the response."""
    found = find_deployment_violations(responses, listed, requested)
    assert (found == []) if violated is None else found == [violated]
