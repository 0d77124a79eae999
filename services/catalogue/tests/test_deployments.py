"""Deployments as the catalogue lists them: from facts in any order, on real tables."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_catalogue.deployment_intake import DeploymentIntake
from k1_catalogue.deployment_store import NEWEST
from k1_catalogue.deployments import DeployFact, Deployment, receive
from k1_catalogue.intake import Intake
from k1_catalogue.questions import Questions
from k1_contracts.ids import new_id
from k1_contracts.messages.deployments import (
    DeployFailed,
    DeployProgressed,
    DeployRolledBack,
    DeploySucceeded,
    DeviceResult,
)
from k1_contracts.messages.tracks import GetTrack
from k1_platform.database import Pool
from k1_platform.errors import PermanentError, TransientError
from services.catalogue.tests.songs import Song, event

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
DEPLOYMENT = "dep_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD"
TRACK = "trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD"
SHA256 = "9f" * 32


def about(seconds: float, track_id: str = TRACK, deployment_id: str = DEPLOYMENT) -> dict[str, Any]:
    at = NOW + timedelta(seconds=seconds)
    return {
        "deployment_id": deployment_id,
        "track_id": track_id,
        "version": 1,
        "bundle_sha256": SHA256,
        "at": at,
    }


def progressed(seconds: float, status: Any, **fields: Any) -> DeployProgressed:
    given: dict[str, Any] = {**about(seconds), "total": 2, "counts": {"staged": 2}, **fields}
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
    DeployRolledBack(**about(5), reason="d0: drift", devices=results("rolled_back", "rollback_pending")),
    progressed(60, "rolled_back", counts={"rolled_back": 2}),
    DeployRolledBack(
        **about(60), reason="d0: drift, then found", devices=results("rolled_back", "rolled_back")
    ),
]


def fold(facts: Sequence[DeployFact]) -> Deployment:
    folded = reduce(receive, facts, None)
    assert folded
    return folded


@given(st.lists(st.sampled_from(ROLLED_BACK), min_size=1, max_size=20))
def test_any_order_and_any_number_of_times(told: list[DeployFact]) -> None:
    """The same facts give the same deployment as told once in order."""
    assert fold(told) == fold([fact for fact in ROLLED_BACK if fact in told])


def test_the_whole_story() -> None:
    """Told to the end, it has its times, its last counts and the last reason."""
    shown = fold(ROLLED_BACK).shown()
    assert (shown.status, shown.paused, shown.counts) == ("rolled_back", False, {"rolled_back": 2})
    assert shown.reason == "d0: drift, then found"
    times = [shown.created_at, shown.updated_at, shown.ended_at]
    assert times == [NOW, NOW + timedelta(seconds=60), NOW + timedelta(seconds=60)]
    assert fold(ROLLED_BACK[:-2]).shown().ended_at is None


@pytest.mark.parametrize(
    ("fact", "status", "counts", "reason"),
    [
        (
            DeploySucceeded(**about(1), devices=results("committed", "failed")),
            "succeeded",
            {"committed": 1, "failed": 1},
            None,
        ),
        (
            DeployFailed(**about(1), code="too_many", reason="r", devices=results("blocked")),
            "failed",
            {"blocked": 1},
            "r",
        ),
        (DeployFailed(**about(1), code="cancelled", reason="r", devices=[]), "cancelled", {}, "r"),
        (
            DeployRolledBack(**about(1), reason="r", devices=results("rolled_back")),
            "rolled_back",
            {"rolled_back": 1},
            "r",
        ),
    ],
)
def test_an_end_alone(fact: DeployFact, status: str, counts: dict[str, int], reason: str | None) -> None:
    """An end that overtook the rest says enough by itself."""
    shown = fold([fact]).shown()
    assert (shown.status, shown.counts, shown.reason) == (status, counts, reason)


@pytest.fixture
def deployed(pool: Pool) -> DeploymentIntake:
    return DeploymentIntake(pool)


@pytest.fixture
async def song(intake: Intake) -> Song:
    song = Song()
    await intake.track_uploaded(event(song.uploaded()))
    return song


def of(song: Song, fact: DeployFact, deployment_id: str = DEPLOYMENT) -> Any:
    return fact.model_copy(update={"track_id": song.track_id, "deployment_id": deployment_id})


async def test_a_track_lists_its_deployments(
    deployed: DeploymentIntake, questions: Questions, song: Song
) -> None:
    """Facts told at once, twice and backwards: one deployment, whole."""
    told = [event(of(song, fact)) for fact in reversed(ROLLED_BACK)]
    await asyncio.gather(*(deployed.record(each) for each in [*told, *told]))
    detail = await questions.get_track(GetTrack(track_id=song.track_id))
    assert detail.deployments == [fold(ROLLED_BACK).shown()]


async def test_the_newest_twenty(deployed: DeploymentIntake, questions: Questions, song: Song) -> None:
    """The newest first; older ones are kept, not shown; another track's are not among them."""
    for number in range(NEWEST + 3):
        fact = progressed(number, "succeeded")
        await deployed.record(event(of(song, fact, f"dep_{number:026d}")))
    shown = (await questions.get_track(GetTrack(track_id=song.track_id))).deployments
    assert [each.id for each in shown] == [f"dep_{number:026d}" for number in range(NEWEST + 2, 2, -1)]
    other = Song()
    assert await deployed.pool.fetchval("SELECT count(*) FROM catalogue.deployments") == NEWEST + 3
    with pytest.raises(TransientError, match="is not known yet"):
        await deployed.record(event(of(other, ROLLED_BACK[0], new_id("dep"))))


async def test_a_deployment_of_another_track(
    deployed: DeploymentIntake, intake: Intake, questions: Questions, song: Song
) -> None:
    """It is refused for good and changes nothing."""
    other = Song()
    await intake.track_uploaded(event(other.uploaded()))
    await deployed.record(event(of(song, ROLLED_BACK[0])))
    with pytest.raises(PermanentError, match="is one of"):
        await deployed.record(event(of(other, ROLLED_BACK[1])))
    assert (await questions.get_track(GetTrack(track_id=other.track_id))).deployments == []
    [kept] = (await questions.get_track(GetTrack(track_id=song.track_id))).deployments
    assert kept.status == "queued"
