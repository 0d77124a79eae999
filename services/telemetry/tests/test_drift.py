"""Tests the drift against the map: the join in PostgreSQL against a brute-force model, and the suggestions."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from k1_contracts.genesis import Section
from k1_contracts.messages.deploy.device_link import RunningBundle
from k1_contracts.messages.drift import OFF_MS, DriftFigures, GetDrift, TrackDrift
from k1_contracts.messages.telemetry import TelemetryBody
from k1_platform.postgres.pool import Pool
from k1_simulator.faults.models import DriftSpot
from k1_simulator.playback.sensors import ActiveFault, Sensors
from k1_telemetry.drift.cells import DriftCells, SectionCell, count_plays
from k1_telemetry.drift.drift_figures import DriftSum
from k1_telemetry.drift.drift_queries import DriftQueries
from k1_telemetry.drift.drift_report import make_report
from k1_telemetry.drift.drift_store import DriftStore
from k1_telemetry.drift.song_plan import SongPlan
from k1_telemetry.fleet.readings import Reading, decode
from k1_telemetry.store.columns import SampleMessage
from k1_telemetry.store.metrics import StoreMetrics
from k1_telemetry.store.writer import BatchWriter
from services.telemetry.tests import samples

VERSION = 2
LABELS = ("intro", "verse", "drop", "outro")


@dataclass(frozen=True, slots=True)
class Play:
    """The readings of one play on a device."""

    device_id: str
    began: datetime
    readings: Sequence[Reading]


def plan_of(
    beats: Sequence[float], edges: Sequence[float], *, confidence: float = 0.9, by_person: bool = False
) -> SongPlan:
    """Return a song with a section between each two edges."""
    sections = [
        Section(start_ms=start, end_ms=end, label=LABELS[index % 4], confidence=0.8, energy=0.5)
        for index, (start, end) in enumerate(pairwise(edges))
    ]
    return SongPlan(edges[-1], sections, beats, [confidence] * len(beats), is_by_person=by_person)


def random_plan(rng: random.Random) -> SongPlan:
    """Return a song with irregular beats; nothing is before the first section, and a gap may be between two."""
    duration_ms = rng.uniform(5_000, 20_000)
    beats = sorted({round(rng.uniform(0, duration_ms), 1) for _ in range(rng.randrange(0, 40))})
    edges = sorted({round(rng.uniform(0, duration_ms), 1) for _ in range(6)})
    plan = plan_of(beats, [*edges, duration_ms])
    return SongPlan(duration_ms, [*plan.sections[:2], *plan.sections[3:]], beats, None, is_by_person=False)


def random_plays(rng: random.Random, plan: SongPlan, now: datetime) -> list[Play]:
    """Return plays of three devices, a minute apart, some of another version, with unknown positions, or too long."""
    return [
        Play(device_id, began, [_random_reading(rng, plan) for _ in range(rng.randrange(1, 40))])
        for device_id in ("a", "b", "k1-long-name")
        for began in (now - timedelta(minutes=minutes) for minutes in range(2, 2 + rng.randrange(4)))
    ]


def _random_reading(rng: random.Random, plan: SongPlan) -> Reading:
    edges = [*plan.beats_ms, *plan.section_edges_ms, plan.duration_ms]
    position = rng.choice([rng.uniform(0, plan.duration_ms * 1.1), rng.choice(edges)])
    return samples.reading(
        ts=position,
        track_id=samples.TRACK,
        drift_ms=rng.gauss(0, 25),
        position_ms=rng.choice([position] * 9 + [None]),
        version=rng.choice([VERSION] * 8 + [1, None]),
    )


async def store(pool: Pool, plays: Sequence[Play]) -> None:
    """Store the readings as the service does; the device clock shows the position."""
    messages: list[SampleMessage] = []
    for number, play in enumerate(plays):
        began_ms = play.began.timestamp() * 1000
        arrived_us = round((began_ms + 60_000) * 1000)
        messages.append(SampleMessage(number + 1, arrived_us, play.device_id, began_ms, play.readings))
    await BatchWriter(pool, StoreMetrics(CollectorRegistry())).write(messages)


async def drift_of(pool: Pool, plan: SongPlan, now: datetime) -> TrackDrift:
    async def song_plan(_track_id: str, _version: int) -> SongPlan:
        return plan

    queries = DriftQueries(DriftStore(pool), song_plan, timedelta(hours=1), lambda: now)
    return await queries.get_drift(GetDrift(track_id=samples.TRACK, version=VERSION))


def figures_of(values: Sequence[float]) -> DriftFigures | None:
    """Return the figures of drift values, one by one; as numbers of 32 bits, which the table holds."""
    drifts = [float(np.float32(value)) for value in values]
    if not drifts:
        return None
    sizes = [abs(drift) for drift in drifts]
    # Made without validation, which would refuse numbers that are only about equal.
    return DriftFigures.model_construct(
        readings=len(drifts),
        mean_ms=pytest.approx(sum(drifts) / len(drifts), abs=0.001),
        mean_abs_ms=pytest.approx(sum(sizes) / len(sizes), abs=0.001),
        max_abs_ms=pytest.approx(max(sizes), abs=0.001),
        off_share=pytest.approx(sum(size > OFF_MS for size in sizes) / len(sizes), abs=0.001),
    )


def check_against_model(found: TrackDrift, plan: SongPlan, plays: Sequence[Play]) -> None:
    """Compare a report with what one finds by looking at each reading by itself."""
    kinds = {"joined": 0, "other_version": 0, "outside": 0, "unplaced": 0}
    by_beat: dict[int, list[float]] = {}
    by_section: dict[int, list[tuple[Play, float]]] = {}
    joined: list[tuple[Play, float]] = []
    for play in plays:
        for reading in play.readings:
            if reading.version is None or reading.position_ms is None:
                kinds["unplaced"] += 1
                continue
            position = float(np.float32(reading.position_ms))
            if reading.version != VERSION:
                kinds["other_version"] += 1
            elif position > plan.duration_ms:
                kinds["outside"] += 1
            else:
                kinds["joined"] += 1
                joined.append((play, reading.drift_ms))
                before = [index for index, time in enumerate(plan.beats_ms) if time <= position]
                if before:
                    by_beat.setdefault(before[-1], []).append(reading.drift_ms)
                for index, section in enumerate(plan.sections):
                    if section.start_ms <= position < section.end_ms:
                        by_section.setdefault(index, []).append((play, reading.drift_ms))
    assert found.counts.model_dump() == kinds
    assert found.devices == len({play.device_id for play, _ in joined})
    assert found.plays == len({(play.device_id, play.began) for play, _ in joined})
    assert found.figures == figures_of([drift for _, drift in joined])
    assert {beat.index: beat.figures for beat in found.beats} == {
        index: figures_of(drifts) for index, drifts in by_beat.items()
    }
    for index, section in enumerate(found.sections):
        inside = by_section.get(index, [])
        devices = {play.device_id for play, _ in inside}
        means = [
            np.mean([abs(drift) for play, drift in inside if play.device_id == device]) for device in devices
        ]
        assert section.figures == figures_of([drift for _, drift in inside])
        assert (section.devices, section.devices_off) == (len(devices), sum(mean > OFF_MS for mean in means))
        assert section.plays == len({(play.device_id, play.began) for play, _ in inside})
        beats = [time for time in plan.beats_ms if section.start_ms <= time < section.end_ms]
        assert section.beats == len(beats)


async def test_the_report_agrees_with_a_model_that_looks_at_each_reading(pool: Pool) -> None:
    """Every stored reading of the version is joined with the beat and the section that played, at the edges as well.

    The others are counted by what they lack. Devices, plays and figures of each place are those of its readings.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    for seed in range(12):
        await pool.execute("TRUNCATE telemetry.samples, telemetry.rollup_1m, telemetry.stored_batches")
        rng = random.Random(seed)
        plan = random_plan(rng)
        plays = random_plays(rng, plan, now)
        await store(pool, plays)
        check_against_model(await drift_of(pool, plan, now), plan, plays)


def test_plays_are_told_apart_by_when_they_began() -> None:
    """Beginnings of a device within five seconds are one play, also across a chain of them; devices do not mix."""
    cells = [SectionCell(0, device, began_s, DriftSum(1)) for device, began_s in [
        ("a", 100), ("a", 104), ("a", 109), ("a", 115), ("b", 100), ("b", 100), ("c", 7),
    ]]  # fmt: skip
    assert count_plays(cells) == 4
    assert count_plays([]) == 0


BEATS = [500.0 * number for number in range(80)]
EDGES = [0.0, 10_000.0, 20_000.0, 30_000.0, 40_000.0]


def cells_of(plan: SongPlan, drifts: dict[str, list[float]]) -> DriftCells:
    """Return cells in which each device has 40 readings with one drift in each section, two a beat."""
    sections = [
        SectionCell(
            edge, device, 0, DriftSum(40, 40 * drift, 40 * abs(drift), abs(drift), 40 * (abs(drift) > 20))
        )
        for device, values in drifts.items()
        for edge, drift in enumerate(values)
    ]
    beats = {
        beat: DriftSum.total(
            DriftSum(2, 2 * values[index], 2 * abs(values[index]), abs(values[index]), 0)
            for values in drifts.values()
        )
        for index in range(4)
        for beat in plan.beats_of(index)
    }
    return DriftCells({"joined": len(sections) * 40}, beats, sections)


def suggestions(plan: SongPlan, **drifts: list[float]) -> list[tuple[str, int | None, str]]:
    made = make_report(plan, cells_of(plan, drifts)).suggestions
    return [(each.action, each.section, each.reason) for each in made]


def test_a_place_where_most_devices_lose_the_beat_suggests_an_edit() -> None:
    """The suggestion names the beats, how many devices and plays, by how much, and whether the analysis was sure."""
    plan = plan_of(BEATS, EDGES, confidence=0.4)
    [found] = make_report(
        plan, cells_of(plan, {"a": [1, 2, 60, 1], "b": [0, 1, 50, 2], "c": [0, 0, 1, 0]})
    ).suggestions
    assert (found.action, found.section, found.first_beat, found.last_beat) == ("beat_edit", 2, 40, 59)
    assert (found.from_ms, found.to_ms) == (20_000, 30_000)
    assert "2 of 3 devices" in found.reason
    assert "37 ms on average" in found.reason
    assert "confidence 0.40" in found.reason
    [(_, _, sure)] = suggestions(plan_of(BEATS, EDGES), a=[1, 2, 60, 1])
    assert "is sure of these beats" in sure
    [(_, _, person)] = suggestions(plan_of(BEATS, EDGES, by_person=True), a=[1, 2, 60, 1])
    assert "A person set these beats" in person


def played(plan: SongPlan, seed: int) -> bytes:
    """Return the messages of a simulated device that plays the song and is off the beat in its third section."""
    spot = DriftSpot(fault="drift_spot", from_ms=EDGES[2], to_ms=EDGES[3], drift_ms=60)
    sensors, bundle = (
        Sensors(random.Random(seed)),
        RunningBundle(bundle_sha256="0" * 64, track_id=samples.TRACK, version=VERSION),
    )
    positions = np.arange(0, plan.duration_ms, 100).tolist()
    readings = [sensors.read(position, bundle, position, [ActiveFault(spot, -1.0)]) for position in positions]
    return TelemetryBody(readings).model_dump_json(exclude_none=True).encode()


async def test_a_fault_of_simulated_devices_leads_to_the_suggestion(pool: Pool) -> None:
    """What devices send that lose the beat in a section is stored, joined, and says which beats to edit."""
    now, plan = datetime.now(UTC).replace(microsecond=0), plan_of(BEATS, EDGES)
    began = now - timedelta(minutes=5)
    messages = [played(plan, seed) for seed in (1, 2)]
    plays = [Play(f"k1-{number}", began, decode(body)[0]) for number, body in enumerate(messages)]
    await store(pool, plays)
    found = await drift_of(pool, plan, now)
    assert (found.devices, found.plays, found.counts.joined) == (2, 2, 2 * 400)
    [suggestion] = found.suggestions
    assert (suggestion.action, suggestion.section) == ("beat_edit", 2)
    assert (suggestion.first_beat, suggestion.last_beat) == (40, 59)


def test_a_device_with_a_problem_suggests_nothing_about_the_map() -> None:
    """One of three devices, or one that is off in the whole song, is no reason to change the beats."""
    plan = plan_of(BEATS, EDGES)
    assert suggestions(plan, a=[0, 0, 90, 0], b=[0, 0, 1, 0], c=[0, 0, 1, 0]) == []
    assert suggestions(plan, a=[70, 80, 90, 90], b=[1, 1, 1, 1], c=[1, 1, 1, 1]) == []
    assert suggestions(plan, a=[5, 5, 19.9, 5]) == []


def test_a_song_that_is_off_in_most_sections_suggests_another_analysis() -> None:
    """It is one suggestion for the whole song; where a person set the beats, another analysis would not help."""
    drifts = {"a": [60.0, 60.0, 60.0, 5.0], "b": [50.0, 60.0, 70.0, 5.0]}
    [(action, section, reason)] = suggestions(plan_of(BEATS, EDGES), **drifts)
    assert (action, section) == ("reanalysis", None)
    assert "3 of 4 sections" in reason
    [(action, _, reason)] = suggestions(plan_of(BEATS, EDGES, by_person=True), **drifts)
    assert action == "beat_edit"
    assert "another analysis would not change them" in reason


def test_the_worst_places_come_first() -> None:
    """At most half of the sections, because more concern the whole song."""
    found = suggestions(plan_of(BEATS, [*EDGES, 50_000.0]), a=[30, 1, 90, 1, 0])
    assert [section for _, section, _ in found] == [2, 0]
