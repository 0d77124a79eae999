"""The roles of the service as real processes: the front fills the queue while the number of workers changes."""

import time
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import httpx
from nats.js import JetStreamContext
from prometheus_client import CollectorRegistry, generate_latest

from k1_analysis.jobs import backlog
from k1_analysis.jobs.backlog import BacklogMetric
from k1_analysis.settings import Role
from k1_contracts.ids import new_id
from k1_contracts.messages.analysis import WORKER_LIST, AnalysisCompleted, ListWorkers, WorkerList
from k1_contracts.messages.catalogue.tracks import TRACK_UPLOADED, TrackUploaded
from k1_contracts.tracks import AudioRef
from k1_platform.nats.streams.publisher import publish
from services.analysis.tests.jobs.conftest import WorkerHarness
from tests.support import songs
from tests.support.bus import request
from tests.support.service_process import RunningService, running_service
from tests.support.waiting import PATIENCE_S, eventually

LENGTHS_S = (10.0, 60.0)
"""The lengths of the songs. The analysis of the second takes several seconds, so that a signal finds it running."""


def service(folder: Path, role: Role, stop_timeout_s: float = 0) -> AbstractContextManager[RunningService]:
    """Run the service in this role, with one slot."""
    environment = {
        "K1_ANALYSIS_ROLE": role,
        "K1_ANALYSIS_SLOTS": "1",
        "K1_ANALYSIS_STOP_TIMEOUT_S": str(stop_timeout_s),
    }
    return running_service("analysis", environment, folder)


async def upload(harness: WorkerHarness, seed: int, length_s: float) -> str:
    """Store a song and publish its upload; return the id of its job."""
    song = songs.song(seed, seconds=length_s)
    digest = sha256(song).hexdigest()
    audio = AudioRef(
        key=f"audio/{digest}.wav",
        sha256=digest,
        size_bytes=len(song),
        container="wav",
        codec="pcm_s16le",
        sample_rate_hz=songs.RATE,
        channels=1,
    )
    await harness.objects.put_bytes(audio.key, song, "audio/wav")
    event = TrackUploaded(
        track_id=new_id("trk"),
        job_id=new_id("job"),
        audio=audio,
        filename="song.wav",
        title="Song",
        uploaded_at=datetime.now(UTC),
    )
    await publish(harness.bus.broker, TRACK_UPLOADED, event, source="ingest")
    return event.job_id


async def wait_for_backlog(front: RunningService, songs: int) -> None:
    """Wait until the front exports this number of songs."""

    async def exported() -> bool:
        async with httpx.AsyncClient() as http:
            metrics = (await http.get(f"{front.url}/metrics", timeout=PATIENCE_S)).text
        return f"\nk1_analysis_backlog {float(songs)}\n" in metrics

    await eventually(exported, f"a backlog of {songs}", interval_s=0.1)


async def wait_for_start(harness: WorkerHarness, number: int) -> str:
    """Wait for the start of a job, counted from 1; return the id of the job."""
    started = await eventually(
        lambda: harness.started if len(harness.started) >= number else None, f"{number} starts"
    )
    return started[number - 1].job_id


async def test_workers_come_and_go_while_the_front_fills_the_queue(
    harness: WorkerHarness, tmp_path: Path
) -> None:
    """Without a worker the songs wait, the front exports their number and responds to queries.

    A worker that is stopped finishes its song within the stop timeout, and takes no other. After the timeout the
    song returns to the queue and the next worker takes it over. Each song is completed once.
    """
    seed = time.time_ns() % 2**31
    with service(tmp_path, "front") as front:
        uploaded = [
            await upload(harness, seed + number, length_s) for number, length_s in enumerate(LENGTHS_S)
        ]
        await wait_for_backlog(front, 2)
        listed = await request(harness.bus.client, WORKER_LIST, ListWorkers())
        assert isinstance(listed, WorkerList)
        assert (listed.total, listed.queue_depth) == (0, 2)

        with service(tmp_path, "worker", stop_timeout_s=PATIENCE_S) as finishing:
            first = await wait_for_start(harness, 1)
        assert finishing.process.returncode == 0
        await eventually(lambda: len(harness.ends) == 1, "the song that ran is completed")
        await wait_for_backlog(front, 1)

        with service(tmp_path, "worker", stop_timeout_s=0) as interrupted:
            second = await wait_for_start(harness, 2)
        assert interrupted.process.returncode == 0
        await wait_for_backlog(front, 1)
        assert len(harness.ends) == 1

        with service(tmp_path, "worker"):
            assert await wait_for_start(harness, 3) == second
            await eventually(lambda: len(harness.ends) == 2, "the other song is completed")
        await wait_for_backlog(front, 0)
    assert [first, second] == uploaded
    assert [end.job_id for end in harness.ends] == uploaded
    assert all(isinstance(end, AnalysisCompleted) for end in harness.ends)
    assert [event.attempt for event in harness.started] == [1, 1, 2]


async def test_an_unknown_backlog_has_no_sample(jetstream: JetStreamContext) -> None:
    """Before the first answer of the broker the metric has no value: a zero would remove all workers."""
    registry = CollectorRegistry()
    registry.register(BacklogMetric(jetstream))
    exported = generate_latest(registry).decode()
    assert "# TYPE k1_analysis_backlog gauge" in exported
    assert "\nk1_analysis_backlog " not in exported
    assert await backlog.read_backlog(jetstream) >= 0
