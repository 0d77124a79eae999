"""Checks the samples that are stored against the stream, and the rollups against the samples."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec

from k1_contracts import streams
from k1_contracts.durables import TELEMETRY_STORE
from k1_contracts.messages.telemetry import DEVICE_READINGS
from k1_contracts.subjects import QUARANTINE
from k1_platform.nats.jetstream_api import delivery_info
from k1_telemetry.database import ROLLUPS
from k1_telemetry.store.columns import METRICS
from k1_telemetry.store.rollups.sketches import deserialised, percentile_95
from tests.soak.activities import Activities
from tests.support.bus import connected_client, read_stream
from tests.support.system import System, wait_for

_SHOWN: Final = 5
Key = tuple[str, int, float]
"""A reading: its device, number and time on the device's clock. The clock tells the starts of a device apart."""


def devices_are_stored_now(system: System, activities: Activities) -> Iterator[str]:
    """The devices without faults are online, and what each sends from now on is stored."""
    online = {each["id"] for each in system.get("/devices?limit=200")["items"] if each["online"]}
    yield from (f"{each} is offline" for each in activities.steady_devices if each not in online)
    (begun,) = system.sql("SELECT clock_timestamp() AS at")

    def missing() -> set[str]:
        rows = system.sql("SELECT DISTINCT device_id FROM telemetry.samples WHERE ts > $1", begun["at"])
        return online - {row["device_id"] for row in rows}

    try:
        wait_for(lambda: not missing(), "new samples of every device are stored")
    except AssertionError:
        yield from (f"{each} is online, and nothing new of it is stored" for each in sorted(missing()))


def messages_are_stored_once(system: System, _: Activities) -> Iterator[str]:
    """Each reading on the stream is stored as often as it was sent; what is stored was sent, and nothing twice."""
    sent = asyncio.run(_sent(system))
    wait_for(
        lambda: asyncio.run(_acknowledged(system)) >= sent.last, "the store has acknowledged what was sent"
    )
    rows = system.sql("SELECT device_id, seq, device_ts, ts FROM telemetry.samples")
    stored = Counter[Key]((row["device_id"], row["seq"], row["device_ts"]) for row in rows)
    for key, count in list((sent.readings - stored).items())[:_SHOWN]:
        yield f"the reading {key} is stored {stored[key]} times, it was sent {stored[key] + count} times"
    later = asyncio.run(_sent(system, after=sent.last))
    known = sent.readings + later.readings
    # The stream has dropped readings that came before its oldest message of the device.
    for key, count in stored.items():
        if count > max(known[key], 1):
            yield f"the reading {key} is stored {count} times"
    dropped_until = later.oldest | sent.oldest
    invented = [
        (row["device_id"], row["seq"], row["device_ts"])
        for row in rows
        if row["device_id"] in dropped_until and row["ts"] > dropped_until[row["device_id"]]
    ]
    yield from (f"the reading {key} is stored and was not sent" for key in invented if key not in known)


@dataclass
class _Sent:
    """What the stream has: of how often which reading, when the oldest message of each device arrived, the last number."""

    readings: Counter[Key] = field(default_factory=Counter[Key])
    oldest: dict[str, datetime] = field(default_factory=dict[str, datetime])
    last: int = 0


async def _acknowledged(system: System) -> int:
    async with connected_client(system.stack.bus) as client:
        info = await client.jetstream().consumer_info(TELEMETRY_STORE.stream, TELEMETRY_STORE.name)
    assert info.ack_floor is not None
    return info.ack_floor.stream_seq


async def _sent(system: System, after: int = 0) -> _Sent:
    sent = _Sent()
    async with connected_client(system.stack.bus) as client:
        messages = await read_stream(client, streams.TELEMETRY, DEVICE_READINGS.pattern, after=after)
    for message in messages:
        device, info = message.subject.partition(".")[2], delivery_info(message)
        body: Any = msgspec.json.decode(message.data)
        readings = body if isinstance(body, list) else [body]
        sent.readings.update((device, each["seq"], float(each["ts"])) for each in readings)
        sent.oldest.setdefault(device, info.arrived)
        sent.last = max(sent.last, info.sequence)
    return sent


def rollups_agree_with_samples(system: System, _: Activities) -> Iterator[str]:
    """Each rollup has the number, the sums, the smallest and the largest values of its samples; there is no other."""
    for rollup in ROLLUPS:
        step = f"interval '{rollup.step.total_seconds()} s'"
        samples = _aggregated(
            "device_id, coalesce(track_id, '') AS track_id,"
            f" date_bin({step}, ts, timestamptz 'epoch') AS bucket, count(*) AS count",
            [f"{bound}({name}) AS {name}_{bound}" for name in METRICS for bound in ("min", "max")]
            + [f"sum({name}::float8) AS {name}_sum" for name in METRICS],
            "telemetry.samples",
            "1, 2, 3",
        )
        table = f"telemetry.{rollup.name}"
        for row in system.sql(_differences(samples, table, "device_id, track_id, bucket", "count")):
            yield (
                f"{rollup.name} of {row['device_id']} {row['track_id']} at {row['bucket']}: "
                f"{row['expected']} samples, {row['found']} counted, or their numbers differ"
            )


def minutes_of_tracks_agree_with_devices(system: System, _: Activities) -> Iterator[str]:
    """Each minute of a track is the sum of that minute of its devices."""
    minutes = _aggregated(
        "track_id, bucket, count(*) AS devices, sum(count) AS count",
        [f"{bound}({name}_{bound}) AS {name}_{bound}" for name in METRICS for bound in ("min", "max")]
        + [f"sum({name}_sum) AS {name}_sum" for name in METRICS],
        "telemetry.rollup_1m",
        "1, 2",
    )
    found = system.sql(
        _differences(minutes, "telemetry.track_minutes", "track_id, bucket", "devices", "count")
    )
    for row in found:
        yield (
            f"the minute {row['bucket']} of the track {row['track_id']!r}: {row['expected']} samples of devices, "
            f"{row['found']} counted, or their numbers differ"
        )


def _aggregated(keys: str, values: list[str], table: str, group: str) -> str:
    return f"SELECT {keys}, {', '.join(values)} FROM {table} GROUP BY {group}"


def _differences(expected: str, table: str, key: str, *counts: str) -> str:
    """Return the query for the rows of a table that differ from those that are expected; one statement sees one state.

    Sums of floating-point numbers depend on the order, so a billionth of the values' size is no difference.
    """
    exact = [*counts, *(f"{name}_{bound}" for name in METRICS for bound in ("min", "max"))]
    sums = [f"{name}_sum" for name in METRICS]
    differs = [f"expected.{name} IS DISTINCT FROM found.{name}" for name in exact]
    differs += [f"abs(expected.{name} - found.{name}) > 1e-9 * (1 + abs(expected.{name}))" for name in sums]
    return f"""
        SELECT {key}, expected.count AS expected, found.count AS found
        FROM ({expected}) AS expected FULL JOIN {table} AS found USING ({key})
        WHERE {" OR ".join(differs)} ORDER BY bucket LIMIT {_SHOWN}
    """


def digests_have_every_value(system: System, _: Activities) -> Iterator[str]:
    """Each digest of a minute has as many values as the row counts samples, and its percentile is the row's."""
    rows = system.sql("SELECT device_id, bucket, count, drift_p95, drift_sketch FROM telemetry.rollup_1m")
    for row in rows:
        digest = deserialised(row["drift_sketch"])
        if digest.get_total_weight() != row["count"]:
            yield f"the digest of {row['device_id']} at {row['bucket']} has {digest.get_total_weight()} values, not {row['count']}"
        elif abs(percentile_95(digest) - row["drift_p95"]) > 1e-3:
            yield f"the percentile of {row['device_id']} at {row['bucket']} is not that of its digest"


def nothing_is_in_quarantine(system: System, _: Activities) -> Iterator[str]:
    """No reading was taken for a bad one: the devices send valid ones only."""
    for subject in asyncio.run(_quarantined(system)):
        yield f"a bad sample: {subject}"


async def _quarantined(system: System) -> list[str]:
    async with connected_client(system.stack.bus) as client:
        messages = await read_stream(client, streams.QUARANTINE, f"{QUARANTINE}.telemetry.*")
    return [each.subject for each in messages][:_SHOWN]
