"""Runs one measurement: uploads songs, lets the autoscaler follow the backlog, and records what happens."""

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import httpx
import nats
from nats.aio.msg import Msg

from benchmarks.scaling.autoscaler import Autoscaler, Policy
from benchmarks.scaling.workers import Workers
from k1_cli.stack.running_stack import RunningStack
from k1_contracts.messages.analysis import (
    ANALYSIS_COMPLETED,
    ANALYSIS_STARTED,
    AnalysisCompleted,
    AnalysisStarted,
)
from k1_platform.nats.bus.connection import connect_options

_SAMPLE_S = 0.5
_UPLOADS_AT_ONCE = 4
_SIGNAL = re.compile(r"^k1_analysis_backlog (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Sample:
    """The state at one moment, in seconds since the first upload."""

    at_s: float
    backlog: float | None
    replicas: int
    completed: int


@dataclass
class Run:
    """What a measurement recorded."""

    uploaded: dict[str, float] = field(default_factory=dict[str, float])
    """The time at which the upload of each job was accepted, as a Unix time."""
    started: dict[str, datetime] = field(default_factory=dict[str, datetime])
    completed: dict[str, float] = field(default_factory=dict[str, float])
    cpu_s: list[float] = field(default_factory=list[float])
    samples: list[Sample] = field(default_factory=list[Sample])
    pod_seconds: float = 0.0
    began: float = 0.0

    @property
    def waits_s(self) -> list[float]:
        """How long each song waited from its upload until a worker began."""
        return [self.started[job].timestamp() - at for job, at in self.uploaded.items()]

    @property
    def elapsed_s(self) -> float:
        """The time from the first upload to the last completed analysis."""
        return max(self.completed.values()) - self.began


async def measure(stack: RunningStack, songs: Sequence[bytes], policy: Policy) -> Run:
    """Upload all songs and follow them until no worker is left."""
    run, workers = Run(), Workers(stack.environment)
    port = next(service.port for service in stack.services if service.name == "analysis")
    client = await nats.connect(**connect_options(stack.bus))

    async def receive(message: Msg) -> None:
        if message.subject == ANALYSIS_STARTED.subject:
            event = AnalysisStarted.model_validate_json(message.data)
            run.started.setdefault(event.job_id, event.started_at)
        elif message.subject == ANALYSIS_COMPLETED.subject:
            done = AnalysisCompleted.model_validate_json(message.data)
            run.completed[done.job_id] = time.time()
            run.cpu_s.append(done.cpu_s or 0.0)

    await client.subscribe("analysis.*", cb=receive)
    run.began = time.time()
    try:
        async with httpx.AsyncClient(timeout=120) as http:
            uploads = asyncio.create_task(_upload(http, stack.url, songs, run))
            await _follow(
                http, f"http://127.0.0.1:{port}/metrics", run, workers, policy=policy, uploads=uploads
            )
            await uploads
    finally:
        await asyncio.get_running_loop().run_in_executor(None, workers.stop)
        await client.close()
    run.pod_seconds = workers.pod_seconds
    return run


async def _upload(http: httpx.AsyncClient, url: str, songs: Sequence[bytes], run: Run) -> None:
    places = asyncio.Semaphore(_UPLOADS_AT_ONCE)

    async def send(number: int, song: bytes) -> None:
        async with places:
            response = await http.post(f"{url}/api/v1/tracks/upload", files={"file": (f"{number}.wav", song)})
            run.uploaded[response.raise_for_status().json()["job_id"]] = time.time()

    await asyncio.gather(*(send(number, song) for number, song in enumerate(songs)))


async def _follow(
    http: httpx.AsyncClient,
    metrics: str,
    run: Run,
    workers: Workers,
    *,
    policy: Policy,
    uploads: asyncio.Task[None],
) -> None:
    autoscaler, polled_s = Autoscaler(policy), -policy.polling_s
    while True:
        found = _SIGNAL.search((await http.get(metrics)).text)
        signal, now_s = float(found[1]) if found else None, time.monotonic()
        if now_s - polled_s >= policy.polling_s:
            polled_s = now_s
            workers.scale(autoscaler.poll(signal, now_s))
        workers.record_ends()
        alive = sum(pod.ended_s is None for pod in workers.pods)
        run.samples.append(Sample(time.time() - run.began, signal, alive, len(run.completed)))
        if uploads.done() and autoscaler.replicas == 0 and not alive and signal == 0:
            return
        await asyncio.sleep(_SAMPLE_S)
