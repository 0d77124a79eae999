"""The other services' end of the bus, for tests."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from faststream.nats import NatsBroker

from k1_contracts import streams, subjects
from k1_contracts.base import Contract
from k1_contracts.messages.tracks import GetTrack, TrackDetail
from k1_platform.broker import make_event, publish_event
from k1_platform.objects import ObjectStore
from k1_platform.rpc import AnswerError
from k1_platform.rpc import ask as ask_once
from services.catalogue.tests.conftest import PATIENCE_S
from services.catalogue.tests.songs import Song

A = TypeVar("A", bound=Contract)


async def ask(bus: NatsBroker, subject: str, question: Contract, answer: type[A]) -> A:
    """The answer of a service that may be held up for a while."""
    return await ask_once(bus, subject, question, answer, timeout_s=PATIENCE_S)


async def tell(bus: NatsBroker, subject: str, body: Contract, about: str) -> None:
    envelope, data = make_event(subject, body, source="test", about=about)
    await publish_event(bus, subject, envelope, data, stream=streams.EVENTS)


async def tell_all(bus: NatsBroker, song: Song, objects: ObjectStore) -> None:
    await tell(bus, subjects.TRACK_UPLOADED, song.uploaded(), song.track_id)
    await tell(bus, subjects.ANALYSIS_STARTED, song.started(), song.job_id)
    await tell(bus, subjects.ANALYSIS_COMPLETED, await song.analysed(objects), song.job_id)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await condition():
            await asyncio.sleep(0.02)


async def has_status(bus: NatsBroker, song: Song, status: str) -> bool:
    try:
        detail = await ask(bus, subjects.RPC_TRACK_GET, GetTrack(track_id=song.track_id), TrackDetail)
    except AnswerError:
        return False
    return detail.track.status == status
