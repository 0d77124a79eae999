"""Tests of deployments: events in any order, with real tables."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_catalogue.deployments.deployment import Deployment, DeploymentEvent, apply_event
from k1_catalogue.deployments.event_handlers import DeploymentEventHandlers
from k1_catalogue.deployments.store import MAX_LISTED
from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_catalogue.tracks.queries import TrackQueries
from k1_contracts.ids import new_id
from k1_contracts.messages.catalogue.tracks import GetTrack
from k1_contracts.messages.deploy.deployments import (
    DeployFailed,
    DeployProgressed,
    DeployRolledBack,
    DeploySucceeded,
    DeviceResult,
)
from k1_platform.errors import PermanentError, TransientError
from k1_platform.postgres.pool import Pool
from services.catalogue.tests.song_samples import Song, message, upload

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
DEPLOYMENT = "dep_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD"
TRACK = "trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD"
SHA256 = "9f" * 32


def common_fields(seconds: float, track_id: str = TRACK, deployment_id: str = DEPLOYMENT) -> dict[str, Any]:
    at = NOW + timedelta(seconds=seconds)
    return {
        "deployment_id": deployment_id,
        "track_id": track_id,
        "version": 1,
        "bundle_sha256": SHA256,
        "at": at,
    }


def progressed(seconds: float, status: Any, **fields: Any) -> DeployProgressed:
    given: dict[str, Any] = {**common_fields(seconds), "total": 2, "counts": {"staged": 2}, **fields}
    return DeployProgressed(status=status, **given)


def results(*outcomes: Any) -> list[DeviceResult]:
    return [DeviceResult(device_id=f"d{number}", outcome=outcome) for number, outcome in enumerate(outcomes)]


ROLLED_BACK = [
    progressed(0, "queued", counts={"pending": 2}),
    progressed(1, "checking"),
    progressed(1, "staging"),
    progressed(2, "activating"),
    progressed(3, "observing", paused=True),
    progressed(4, "rolling_back"),
    progressed(5, "rollback_pending", counts={"rolled_back": 1, "rollback_pending": 1}),
    DeployRolledBack(
        **common_fields(5), reason="d0: drift", devices=results("rolled_back", "rollback_pending")
    ),
    progressed(60, "rolled_back", counts={"rolled_back": 2}),
    DeployRolledBack(
        **common_fields(60), reason="d0: drift, then found", devices=results("rolled_back", "rolled_back")
    ),
]


def fold(events: Sequence[DeploymentEvent]) -> Deployment:
    folded = reduce(apply_event, events, None)
    assert folded
    return folded


@given(st.lists(st.sampled_from(ROLLED_BACK), min_size=1, max_size=20))
def test_events_in_any_order_and_number(events: list[DeploymentEvent]) -> None:
    """The same events in any order and number give the same deployment as once in order."""
    assert fold(events) == fold([event for event in ROLLED_BACK if event in events])


def test_all_events_of_a_deployment() -> None:
    """A deployment with all its events has its times, the last counts and the last reason."""
    shown = fold(ROLLED_BACK).to_response()
    assert (shown.status, shown.paused, shown.counts) == ("rolled_back", False, {"rolled_back": 2})
    assert shown.reason == "d0: drift, then found"
    times = [shown.created_at, shown.updated_at, shown.ended_at]
    assert times == [NOW, NOW + timedelta(seconds=60), NOW + timedelta(seconds=60)]
    assert fold(ROLLED_BACK[:-2]).to_response().ended_at is None


@pytest.mark.parametrize(
    ("event", "status", "counts", "reason"),
    [
        (
            DeploySucceeded(**common_fields(1), devices=results("committed", "failed")),
            "succeeded",
            {"committed": 1, "failed": 1},
            None,
        ),
        (
            DeployFailed(**common_fields(1), code="too_many", reason="r", devices=results("blocked")),
            "failed",
            {"blocked": 1},
            "r",
        ),
        (DeployFailed(**common_fields(1), code="cancelled", reason="r", devices=[]), "cancelled", {}, "r"),
        (
            DeployRolledBack(**common_fields(1), reason="r", devices=results("rolled_back")),
            "rolled_back",
            {"rolled_back": 1},
            "r",
        ),
    ],
)
def test_an_end_without_other_events(
    event: DeploymentEvent, status: str, counts: dict[str, int], reason: str | None
) -> None:
    """An event of an end that arrives first gives status, counts and reason by itself."""
    shown = fold([event]).to_response()
    assert (shown.status, shown.counts, shown.reason) == (status, counts, reason)


@pytest.fixture
def deployment_events(pool: Pool) -> DeploymentEventHandlers:
    return DeploymentEventHandlers(pool)


@pytest.fixture
async def song(job_events: JobEventHandlers) -> Song:
    return await upload(job_events)


def of_track(song: Song, event: DeploymentEvent, deployment_id: str = DEPLOYMENT) -> Any:
    return event.model_copy(update={"track_id": song.track_id, "deployment_id": deployment_id})


async def test_a_track_lists_its_deployments(
    deployment_events: DeploymentEventHandlers, track_queries: TrackQueries, song: Song
) -> None:
    """Events that arrive concurrently, twice and in reverse order give one complete deployment."""
    messages = [message(of_track(song, event)) for event in reversed(ROLLED_BACK)]
    await asyncio.gather(*(deployment_events.handle_event(each) for each in [*messages, *messages]))
    detail = await track_queries.get_track(GetTrack(track_id=song.track_id))
    assert detail.deployments == [fold(ROLLED_BACK).to_response()]


async def test_a_track_lists_its_newest_deployments(
    deployment_events: DeploymentEventHandlers, track_queries: TrackQueries, song: Song
) -> None:
    """The newest come first; older ones stay in the table; an event of an unknown track is transient."""
    for number in range(MAX_LISTED + 3):
        event = progressed(number, "succeeded")
        await deployment_events.handle_event(message(of_track(song, event, f"dep_{number:026d}")))
    shown = (await track_queries.get_track(GetTrack(track_id=song.track_id))).deployments
    assert [each.id for each in shown] == [f"dep_{number:026d}" for number in range(MAX_LISTED + 2, 2, -1)]
    other = Song()
    assert (
        await deployment_events.pool.fetchval("SELECT count(*) FROM catalogue.deployments") == MAX_LISTED + 3
    )
    with pytest.raises(TransientError, match="is not known yet"):
        await deployment_events.handle_event(message(of_track(other, ROLLED_BACK[0], new_id("dep"))))


async def test_a_deployment_of_another_track(
    deployment_events: DeploymentEventHandlers,
    job_events: JobEventHandlers,
    track_queries: TrackQueries,
    song: Song,
) -> None:
    """Its event is a permanent error and changes nothing."""
    other = await upload(job_events)
    await deployment_events.handle_event(message(of_track(song, ROLLED_BACK[0])))
    with pytest.raises(PermanentError, match="is one of"):
        await deployment_events.handle_event(message(of_track(other, ROLLED_BACK[1])))
    assert (await track_queries.get_track(GetTrack(track_id=other.track_id))).deployments == []
    [listed] = (await track_queries.get_track(GetTrack(track_id=song.track_id))).deployments
    assert listed.status == "queued"
