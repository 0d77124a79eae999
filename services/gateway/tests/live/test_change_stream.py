"""The streams of changes of jobs, as server-sent events."""

import asyncio
import json
from pathlib import Path

import httpx

from k1_contracts.messages.analysis import JOB_GET, JOB_PROGRESSED, JobProgress
from k1_contracts.messages.deploy.deployment_queries import DEPLOYMENT_GET
from k1_platform.nats.queries.rpc import QueryError
from services.gateway.tests import samples
from services.gateway.tests.conftest import Owners
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import RunningService, running_service
from tests.support.waiting import PATIENCE_S

URL = f"/api/v1/analysis/jobs/{samples.JOB}/events"


async def test_progress_flows_until_the_job_ends(http: httpx.AsyncClient, owners: Owners) -> None:
    """The stream holds the job's view, each progress, the view at the end, and then ends."""
    owners.respond_with(JOB_GET.subject, samples.job())
    events: list[tuple[str, dict[str, object]]] = []
    async with http.stream("GET", URL) as stream:
        assert stream.headers["content-type"] == "text/event-stream"
        name = ""
        async with asyncio.timeout(PATIENCE_S):
            async for line in stream.aiter_lines():
                field, _, value = line.partition(": ")
                name = value if field == "event" else name
                if field == "data":
                    events.append((name, json.loads(value)))
                    await _next_step(owners, len(events))
    assert [name for name, _ in events] == ["job", "progress", "progress", "job"]
    assert [data.get("percent") for _, data in events] == [40, 60, 100, 100]
    assert events[-1][1]["status"] == "completed"


async def _next_step(owners: Owners, seen: int) -> None:
    percent = {1: 60.0, 2: 100.0}.get(seen)
    if percent is None:
        return
    progress = JobProgress(
        job_id=samples.JOB, track_id=samples.TRACK, stage="beats", percent=percent, at=samples.NOW
    )
    await owners.bus.client.publish(JOB_PROGRESSED.subject_for(samples.JOB), progress.to_json())
    if percent == 100:
        # Not before: the gateway also looks by itself now and then, and could end the stream without this news.
        owners.respond_with(JOB_GET.subject, samples.job("completed", 100))


async def test_a_stream_of_an_ended_job_ends_at_once(http: httpx.AsyncClient, owners: Owners) -> None:
    """A client does not wait for changes of a job that has ended."""
    owners.respond_with(JOB_GET.subject, samples.job("failed"))
    response = await http.get(URL)
    assert response.text.count("event: job") >= 1
    assert '"status":"failed"' in response.text


async def _ids(http: httpx.AsyncClient, url: str, last_id: str | None = None) -> tuple[int, list[str]]:
    """Return the status and the ids of the events, for an EventSource that comes back with the last one."""
    response = await http.get(url, headers={"Last-Event-ID": last_id} if last_id else {})
    return response.status_code, [line[4:] for line in response.text.splitlines() if line.startswith("id: ")]


async def test_an_event_source_gets_204_after_the_end(http: httpx.AsyncClient, owners: Owners) -> None:
    """It gets the end once, and 204 when it comes back with the id `end`; else it would reconnect for ever."""
    owners.respond_with(JOB_GET.subject, samples.job("failed"))
    owners.respond_with(DEPLOYMENT_GET.subject, samples.deployment(status="rolled_back"))
    for url in (URL, f"/api/v1/deployments/{samples.DEPLOYMENT}/events"):
        assert await _ids(http, url) == (200, ["end"])
        assert await _ids(http, url, "7") == (200, ["end"])
        assert await _ids(http, url, "end") == (204, [])


async def test_a_resumed_deployment_has_no_end_yet(http: httpx.AsyncClient, owners: Owners) -> None:
    """An end that the client has seen does not hide a later rollback; ids continue from the client's last id."""
    owners.respond_with(DEPLOYMENT_GET.subject, samples.deployment(status="rolling_back"))
    url = f"/api/v1/deployments/{samples.DEPLOYMENT}/events"
    for last_id, first in (("end", "1"), ("41", "42"), ("x" * 9, "1"), ("9" * 4000, "1")):
        async with http.stream("GET", url, headers={"Last-Event-ID": last_id}) as stream:
            assert stream.status_code == 200
            lines = stream.aiter_lines()
            assert [await anext(lines), await anext(lines)] == ["event: deployment", f"id: {first}"]


async def test_an_unknown_job_is_a_problem(http: httpx.AsyncClient, owners: Owners) -> None:
    """The response is a problem, not a stream without events."""
    owners.respond_with(JOB_GET.subject, QueryError("job_not_found", "There is no such job.", 404))
    response = await http.get(URL)
    assert (response.status_code, response.json()["code"]) == (404, "job_not_found")


async def test_a_stopping_gateway_ends_its_streams(
    owners: Owners, provisioned: Infrastructure, ingest: RunningService, tmp_path: Path
) -> None:
    """An open stream does not delay the end after SIGTERM, and it ends cleanly."""
    owners.respond_with(JOB_GET.subject, samples.job())
    environment = provisioned.environment | {"K1_GATEWAY_INGEST_URL": ingest.url}
    with running_service("gateway", environment, tmp_path) as leaving:
        async with (
            httpx.AsyncClient(base_url=leaving.url, timeout=PATIENCE_S) as http,
            http.stream("GET", URL) as stream,
        ):
            lines = stream.aiter_lines()
            assert await anext(lines) == "event: job"
            leaving.process.terminate()
            assert [line async for line in lines if line.startswith("event: job")]
        assert await asyncio.to_thread(leaving.process.wait, PATIENCE_S) == 0
