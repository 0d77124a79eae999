"""Tests how a bundle reaches a device when the store or the connection fails."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from k1_contracts.messages.deploy.device_link import Stage
from k1_platform.processes.backoff import BackoffSchedule
from k1_simulator.faults.models import FaultPlan, Slow
from k1_simulator.transfers.download import Download, InterruptedDownloadError, SourceUnavailableError
from k1_simulator.verification import StageError
from simulator.tests.commander import Commander
from simulator.tests.conftest import MakeFleet, stage_fields
from simulator.tests.http_store import http_store, part
from simulator.tests.shows import bundle
from tests.support.infrastructure import Infrastructure

DATA = bundle(1).data
CHUNK = 1024


def offsets(ranges: list[str]) -> list[int]:
    return [int(one.removeprefix("bytes=").partition("-")[0]) for one in ranges]


async def staged_from(
    answer: Any, make_fleet: MakeFleet, commander: Commander, device: str, **fields: Any
) -> Any:
    """Stage from a store; return the final reply and the requested offsets."""
    async with http_store(answer) as (url, ranges), make_fleet([device], factory=True):
        reply = await commander.call(device, "stage", "s", **stage_fields(1, url, CHUNK) | fields)
        return reply, offsets(ranges)


async def test_parts_are_requested_in_order(make_fleet: MakeFleet, commander: Commander, unique: str) -> None:
    """Each part is requested once, with the size in the command."""

    async def answer(request: web.Request, _: int) -> web.Response:
        return part(request, DATA)

    reply, asked = await staged_from(answer, make_fleet, commander, unique)
    assert reply.status == "done"
    assert asked == list(range(0, len(DATA), CHUNK))


async def test_an_interrupted_body_costs_one_part(
    make_fleet: MakeFleet, commander: Commander, unique: str
) -> None:
    """The server closes the connection in the middle of a part: the device continues at that byte, without repeats."""

    async def answer(request: web.Request, number: int) -> web.StreamResponse:
        whole = part(request, DATA)
        if number not in {1, 4}:
            return whole
        response = web.StreamResponse(status=206, headers=dict(whole.headers))
        await response.prepare(request)
        assert isinstance(whole.body, bytes)
        await response.write(whole.body[:100])
        assert request.transport is not None
        request.transport.close()
        return response

    reply, asked = await staged_from(answer, make_fleet, commander, unique)
    assert reply.status == "done"
    assert asked[:3] == [0, CHUNK, CHUNK]
    assert sorted(set(asked)) == list(range(0, len(DATA), CHUNK))
    assert len(asked) == len(set(asked)) + 2


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_a_failing_store_is_retried(
    status: int, make_fleet: MakeFleet, commander: Commander, unique: str
) -> None:
    """It is retried after a pause, any number of times, but at most four in a row."""

    async def answer(request: web.Request, number: int) -> web.Response:
        return web.Response(status=status) if number in {0, 2, 3, 5, 7} else part(request, DATA)

    reply, asked = await staged_from(answer, make_fleet, commander, unique)
    assert reply.status == "done"
    assert asked[:9] == [0, 0, CHUNK, CHUNK, CHUNK, *[2 * CHUNK] * 2, *[3 * CHUNK] * 2]


async def test_a_store_that_responds_200_to_a_range(
    make_fleet: MakeFleet, commander: Commander, unique: str
) -> None:
    """With Content-Range it is still a part; without it, it is the complete object, of which the rest is ignored."""

    async def answer(request: web.Request, number: int) -> web.Response:
        return part(request, DATA, status=200) if number % 2 == 0 else web.Response(body=DATA)

    reply, asked = await staged_from(answer, make_fleet, commander, unique)
    assert reply.status == "done"
    assert asked == list(range(0, len(DATA), CHUNK))


@pytest.mark.parametrize(
    ("make", "code", "reason"),
    [
        (lambda _: web.Response(status=403), "fetch_failed", "HTTP: HTTP 403; link: "),
        (lambda _: web.Response(status=206, body=b"x"), "fetch_failed", "without saying which"),
        (
            lambda _: web.Response(status=206, headers={"Content-Range": "bytes 7-9/10"}),
            "fetch_failed",
            "bytes 7-9/10",
        ),
        (lambda _: web.Response(status=206, headers={"Content-Range": "apples"}), "fetch_failed", "apples"),
        (lambda _: web.Response(body=b""), "size_mismatch", "the stored object 0"),
        (
            lambda request: part(request, DATA + b"more"),
            "size_mismatch",
            f"the stored object {len(DATA) + 4}",
        ),
        (lambda request: part(request, bytes(len(DATA))), "hash_mismatch", "SHA-256"),
    ],
    ids=["forbidden", "no range", "other range", "no number", "empty", "longer", "other bytes"],
)
async def test_a_store_that_sends_something_else(  # noqa: PLR0917
    make: Any, code: str, reason: str, make_fleet: MakeFleet, commander: Commander, unique: str
) -> None:  # fmt: skip
    """The transfer fails with the reason, and the device keeps playing the same show."""

    async def answer(request: web.Request, _: int) -> web.Response:
        return make(request)

    reply, _ = await staged_from(answer, make_fleet, commander, unique)
    assert (reply.status, reply.code) == ("failed", code)
    assert reason in reply.message
    assert reply.hello.active is not None
    assert reply.hello.staged == []


@pytest.mark.parametrize(
    "url", ["", "no URL", "http://", "ftp://x/y", "http://[::1", "file:///etc/passwd", "http://\x00"]
)
async def test_an_unusable_url_fails_clearly(
    url: str, make_fleet: MakeFleet, commander: Commander, unique: str
) -> None:
    """This holds for any text."""
    async with make_fleet([unique]):
        reply = await commander.call(unique, "stage", "s", **stage_fields(1, url))
    assert (reply.status, reply.code) == ("failed", "fetch_failed")
    assert reply.message


async def test_a_transfer_continues_after_restarts(  # noqa: PLR0917
    make_fleet: MakeFleet,
    commander: Commander,
    store: Any,
    provisioned: Infrastructure,
    tmp_path: Path,
    unique: str,
) -> None:
    """The device stops, the store is killed, and both start again: the transfer continues where it was."""
    stack = provisioned.killable()
    # A second a chunk: the end is so far away that the kill comes before it.
    slow = Slow(fault="slow", step="stage", bytes_per_s=400)
    fields = await store(1, chunk_size=400)
    part_file = tmp_path / "devices" / unique / f"{fields['bundle_sha256']}.part"
    async with make_fleet([unique], faults=FaultPlan(faults=[slow])) as fleet:
        await commander.send(unique, "stage", "s", **fields)
        await commander.answer("s", "progress")
        await fleet.kill(unique)
        came = part_file.stat().st_size
        await asyncio.to_thread(stack.kill, "s3")
        await asyncio.to_thread(stack.restart, "s3")
        await fleet.restart(unique)
        reply = await commander.answer("s")
    assert 0 < came < fields["size"]
    assert reply.status == "done"
    assert reply.hello is not None
    assert reply.hello.staged == [fields["bundle_sha256"]]


ACTIONS = st.lists(st.sampled_from(["all", "some", "nothing", "cut", "error"]), max_size=30)


@settings(max_examples=100)
@given(size=st.integers(1, 5000), chunk=st.integers(1, 5000), already=st.integers(0, 6000), actions=ACTIONS)
def test_whatever_the_source_does_the_file_is_a_prefix_of_the_bundle(
    size: int, chunk: int, already: int, actions: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:  # fmt: skip
    """It has no wrong byte, no gap and no extra byte, and is complete when the transfer succeeds."""
    data = random.Random(size).randbytes(size)
    file = tmp_path_factory.mktemp("flash") / "part"
    file.write_bytes((data + bytes(6000))[:already])
    plan = iter(actions)

    async def way(offset: int, length: int) -> bytes:
        assert offset + length <= size
        if (action := next(plan, "all")) == "error":
            raise SourceUnavailableError("gone")
        if action == "cut":
            raise InterruptedDownloadError("cut")
        wanted = data[offset : offset + min(length, chunk)]
        return {"all": wanted, "some": wanted[: len(wanted) // 2], "nothing": b""}[action]

    async def tap(offset: int, data: bytes) -> tuple[bytes, bool]:
        return data, False

    async def progressed(received: int) -> None:
        assert received == file.stat().st_size

    fields: dict[str, Any] = stage_fields(1, "http://x") | {"size": size, "chunk_size": chunk}
    transfer = Download(
        Stage(command_id="s", **fields),
        file,
        tap,
        progressed,
        random.Random(1),
        backoff=BackoffSchedule(first_s=0),
    )
    try:
        asyncio.run(transfer.run([("first", way), ("second", way)]))
    except StageError as error:
        assert error.code == "fetch_failed"  # noqa: PT017
        assert data.startswith(file.read_bytes() if file.exists() else b"")
    else:
        assert file.read_bytes() == data
