"""Tests the store on a real PostgreSQL and with real processes: each sample exactly once, bad ones in quarantine."""

import asyncio
import json
import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from nats.aio.client import Client
from prometheus_client import CollectorRegistry

from k1_contracts import streams
from k1_contracts.messages.telemetry import DEVICE_READINGS
from k1_platform.nats.dead_letters.queue import list_dead_letters, redrive_dead_letter
from k1_platform.postgres.pool import Pool
from k1_telemetry.database import ROLLUPS
from k1_telemetry.store.columns import METRICS, SampleMessage
from k1_telemetry.store.device_counts import COUNTS
from k1_telemetry.store.metrics import StoreMetrics
from k1_telemetry.store.rollups.summaries import MAXIMA, MINIMA, SUMS
from k1_telemetry.store.writer import BatchWriter
from services.telemetry.tests import samples
from tests.support.service_process import running_service
from tests.support.waiting import PATIENCE_S, eventually

COUNT = 300
FIGURES = ", ".join(
    f"sum({name}::float8) AS {name}_sum, min({name}) AS {name}_min, max({name}) AS {name}_max"
    for name in METRICS
)
DIFFERENCES = [f"rollup.{name} <> model.{name}" for name in (*MINIMA, *MAXIMA)] + [
    f"abs(rollup.{name} - model.{name}) > 0.01" for name in SUMS
]
TRACK_MINUTES_DIFFERENCE = f"""
    SELECT count(*) FROM telemetry.track_minutes AS rollup FULL JOIN (
        SELECT track_id, bucket, count(*) AS devices, sum(count) AS count,
            {", ".join(f"sum({name}) AS {name}" for name in SUMS)},
            {", ".join(f"min({name}) AS {name}" for name in MINIMA)},
            {", ".join(f"max({name}) AS {name}" for name in MAXIMA)}
        FROM telemetry.rollup_1m GROUP BY 1, 2
    ) model USING (track_id, bucket)
    WHERE rollup.count IS DISTINCT FROM model.count OR rollup.devices <> model.devices OR {" OR ".join(DIFFERENCES)}
"""


def message(number: int, now: datetime, *, late_s: float = 0) -> SampleMessage:
    """Return message `number` of one of three devices, with one to three readings."""
    arrived_us = round(now.timestamp() * 1e6) + number * 10_000
    readings = [
        samples.reading(
            number * 10 + part,
            number * 10.0 + part - late_s * 1000,
            track_id=samples.TRACK if number % 2 else None,
            drift_ms=float(number % 50 - 25),
            cpu_pct=number % 100,
            temp_c=number % 80,
            fps=number % 60,
            heap_free=number * 1000,
            rssi=-(number % 90),
            error="\0 \ud800" if number % 100 == 0 else None,
        )
        for part in range(number % 3 + 1)
    ]
    return SampleMessage(number + 1, arrived_us, f"k1-{number % 3}", now.timestamp() * 1000, readings)


def rows(messages: Iterable[SampleMessage]) -> int:
    return sum(len(each.readings) for each in messages)


async def check_store(pool: Pool, expected: list[SampleMessage]) -> None:
    """Check that the samples are those of the messages, each once, and that the rollups agree with the samples."""
    devices = sorted({each.device_id for each in expected})
    stored = await pool.fetch(
        "SELECT device_id, seq FROM telemetry.samples WHERE device_id = ANY($1)", devices
    )
    sent = [(each.device_id, reading.seq) for each in expected for reading in each.readings]
    assert sorted((row["device_id"], row["seq"]) for row in stored) == sorted(sent)
    for rollup in ROLLUPS:
        difference = await pool.fetchval(
            f"""
            SELECT count(*) FROM (SELECT * FROM telemetry.{rollup.name} WHERE device_id = ANY($2)) rollup FULL JOIN (
                SELECT device_id, coalesce(track_id, '') AS track_id, date_bin($1, ts, 'epoch') AS bucket,
                    count(*)::int AS count, {FIGURES} FROM telemetry.samples WHERE device_id = ANY($2) GROUP BY 1, 2, 3
            ) model USING (device_id, track_id, bucket)
            WHERE rollup.count IS DISTINCT FROM model.count OR {" OR ".join(DIFFERENCES)}
            """,
            rollup.step,
            devices,
        )
        assert difference == 0, rollup.name
    assert await pool.fetchval(TRACK_MINUTES_DIFFERENCE) == 0


async def test_overlapping_batches_of_two_writers(pool: Pool) -> None:
    """Two processes that write overlapping batches at once, in any order, store each message exactly once.

    Also messages that a batch has twice, because they were delivered again while it waited.
    So does a process that numbers messages as before, because its broker was restored: they arrived at other times.
    """
    rng, now = random.Random(1), datetime.now(UTC)
    messages = [message(number, now, late_s=rng.choice([0, 0, 59])) for number in range(COUNT)]
    metrics = StoreMetrics(CollectorRegistry())

    async def write(seed: int) -> None:
        writer, order = BatchWriter(pool, metrics), messages[:]
        random.Random(seed).shuffle(order)
        while order:
            size = 1 + seed * 37 % 90
            await writer.write([*order[:size], *order[: size // 3]])
            order = order[size:]

    await asyncio.gather(write(1), write(2))
    await check_store(pool, messages)
    again = [message(number, now + timedelta(minutes=1)) for number in range(COUNT)]
    await BatchWriter(pool, metrics).write([*again, *messages[:10]])
    await check_store(pool, [*messages, *again])


@pytest.mark.usefixtures("telemetry")
async def test_samples_of_the_bus(
    service_environment: dict[str, str], tmp_path: Path, nats_client: Client, pool: Pool, unique: str
) -> None:
    """Two processes store single samples and arrays; bad samples are kept with the reason and sink no other sample.

    A bad sample that is redriven comes into quarantine again, and the good ones of its message are not doubled.
    """
    subject, device = DEVICE_READINGS.subject_for(f"k1-{unique}"), f"k1-{unique}"
    packed = [samples.fields(number, number * 100.0) for number in range(10)]
    packed[3]["cpu_pct"] = 101
    with running_service("telemetry", service_environment, tmp_path):
        await nats_client.publish(subject, samples.message(*packed))
        for number in range(10, 50):
            await nats_client.publish(subject, samples.message(samples.fields(number, number * 100.0)))
        await nats_client.publish(subject, b"{")

        async def all_stored() -> bool:
            query = "SELECT count(*), count(DISTINCT seq) FROM telemetry.samples WHERE device_id = $1"
            return tuple(await pool.fetchrow(query, device)) == (49, 49)

        await eventually(all_stored, "all good samples are stored")
        jetstream = nats_client.jetstream(timeout=PATIENCE_S)

        async def bad() -> list[tuple[str, int]]:
            letters = await list_dead_letters(jetstream, stream=streams.QUARANTINE)
            return [(each.code, each.number) for each in letters if each.subject == subject]

        async def both_kept() -> bool:
            return sorted(code for code, _ in await bad()) == ["invalid_field", "invalid_json"]

        await eventually(both_kept, "the bad sample and the bad message are in quarantine")
        (number,) = [number for code, number in await bad() if code == "invalid_field"]
        letter = await redrive_dead_letter(jetstream, number, stream=streams.QUARANTINE)
        assert [item["seq"] for item in json.loads(letter.body)] == [3]

        async def back_again() -> bool:
            found = await bad()
            return len(found) == 2 and number not in {each for _, each in found}

        await eventually(back_again, "the bad sample is in quarantine again")
        assert await all_stored()

        for number in (52, 51, 52):  # a gap of two, a late one, a duplicate
            await nats_client.publish(subject, samples.message(samples.fields(number, number * 100.0)))

        async def counted() -> bool:
            row = await pool.fetchrow("SELECT * FROM telemetry.device_counts WHERE device_id = $1", device)
            return row is not None and {name: row[name] for name in COUNTS} == {
                "received": 52,
                "missing": 3,
                "duplicate": 1,
                "late": 1,
                "restarted": 0,
                "rejected": 2,
                "clock_jumps": 0,
            }

        await eventually(counted, "gaps, duplicates, late and bad samples of the device are counted")


@pytest.mark.parametrize("age_s", [0, 30])
async def test_partitions_are_made_for_old_samples(pool: Pool, age_s: int) -> None:
    """A batch whose hour has no partition yet, such as one that waited in the stream, is stored all the same."""
    then = datetime.now(UTC) - timedelta(hours=5, seconds=age_s)
    messages = [message(number, then) for number in range(5)]
    await BatchWriter(pool, StoreMetrics(CollectorRegistry())).write(messages)
    await check_store(pool, messages)
