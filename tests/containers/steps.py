"""The steps of the test, each on the stack that the one before left."""

import re
from collections import Counter
from pathlib import Path
from typing import Any, Final

import httpx

from k1_contracts.messages.deploy.device_link import Transport
from k1_contracts.messages.deploy.devices import DevicesAdded
from k1_platform.processes.threads import in_thread
from k1_platform.settings import NatsSettings
from k1_simulator.fleet import Fleet
from k1_simulator.fleet_context import BehaviourConfig, Servers
from k1_simulator.identity import Identity, provisioned
from tests.containers.api import PATIENCE_S, Api
from tests.containers.images import MONITORING, read_compose
from tests.containers.load import Load
from tests.containers.progress import say
from tests.containers.stack import PROJECT, Stack
from tests.support import songs
from tests.support.deployment_orders import immediate_order
from tests.support.waiting import eventually, wait_until

SERVERS: Final = ("nats", "postgres", "mongo", "s3")
JOBS: Final = (
    *("nats-keys", "signing", "provision"),
    *("migrate", "migrate-deploy", "migrate-accounts", "migrate-webhooks", "migrate-telemetry"),
)
ORDER: Final = ("accounts", "webhooks", "telemetry", "deploy", "catalogue", "ingest", "analysis", "gateway")
"""The services in the order of an upgrade: whoever answers before whoever asks."""
_PROMETHEUS: Final = "http://127.0.0.1:9090"
_ALERTMANAGER: Final = "http://127.0.0.1:9093"
_DEVICES: Final[dict[Transport, str]] = {"nats": "container-nats", "mqtt": "container-mqtt"}
_NATS: Final = "nats://127.0.0.1:4222"
_MQTT: Final = "mqtt://127.0.0.1:1883"
_FINISHED: Final = re.compile(r"^k1_analysis_jobs_total\{[^}]*\} ([0-9.e+]+)$", re.MULTILINE)
_METRICS: Final = (
    "from urllib.request import urlopen; print(urlopen('http://127.0.0.1:8080/metrics').read().decode())"
)
_ENDED: Final = frozenset({"succeeded", "failed", "cancelled", "rolled_back"})


def make_song_ready(api: Api) -> str:
    """Upload a song and wait until it is ready; return its track."""
    receipt = api.upload(songs.song(1, seconds=12), "song.wav")
    api.assert_ready(receipt)
    rhythm = api.get(f"/tracks/{receipt['track_id']}/versions/1/genesis?layers=rhythm")["layers"]
    assert rhythm
    return receipt["track_id"]


async def deploy(api: Api, track_id: str, folder: Path) -> str:
    """Deploy a track to two simulated devices that connect to the published ports; return what was done."""
    identities: list[Identity] = []
    for transport, device in _DEVICES.items():
        body = {"device_ids": [device], "transport": transport, "renew": True}
        added = await in_thread(api.post, "/devices", body)
        identities += provisioned(DevicesAdded.model_validate(added))
    servers = Servers(NatsSettings(url=_NATS, creds=None), _MQTT)
    async with Fleet(identities, servers=servers, folder=folder, behaviour=BehaviourConfig(reconnect_s=0.2)):
        view = await _deploy_to(api, track_id, [each.device_id for each in identities])
    assert view["status"] == "succeeded", view
    return f"{view['total']} devices, over NATS and MQTT: {view['status']}"


async def _deploy_to(api: Api, track_id: str, device_ids: list[str]) -> dict[str, Any]:
    async def are_known() -> bool:
        items = (await in_thread(api.get, "/devices"))["items"]
        return set(device_ids) <= {each["id"] for each in items if each["online"] and each.get("firmware")}

    await eventually(are_known, "the devices are online", within_s=PATIENCE_S, interval_s=0.3)
    made = await in_thread(api.post, "/deployments", immediate_order(track_id, device_ids))

    async def ended() -> dict[str, Any] | None:
        view = await in_thread(api.get, f"/deployments/{made['deployment_id']}")
        return view if view["status"] in _ENDED else None

    return await eventually(ended, "the deployment ends", within_s=PATIENCE_S, interval_s=0.3)


def scale_analysis(stack: Stack, api: Api) -> str:
    """Run two containers of analysis, and upload songs until both have finished some; return how many."""
    stack.up("--no-recreate", "--scale", "analysis=2", "analysis")
    containers = stack.containers("analysis")
    assert len(containers) == 2, containers
    before = [_finished(stack, each) for each in containers]
    receipts = [api.upload(songs.song(100 + number, seconds=12), f"{number}.wav") for number in range(8)]
    for receipt in receipts:
        api.assert_ready(receipt)
    done = [_finished(stack, each) - count for each, count in zip(containers, before, strict=True)]
    assert min(done) > 0, f"one container did everything: {done}"
    return f"{len(receipts)} songs, {done[0]:g} by one container and {done[1]:g} by the other"


def _finished(stack: Stack, container: str) -> float:
    """Return how many jobs a container of analysis has finished."""
    text = stack.docker("exec", container, "python", "-c", _METRICS)
    return finished_jobs(text)


def finished_jobs(metrics: str) -> float:
    """Return the sum over all outcomes of the jobs in the text of `/metrics`."""
    return sum(map(float, _FINISHED.findall(metrics)))


def watch(stack: Stack) -> str:
    """Start the monitoring, and wait until every service is scraped and an alert has arrived; return what was seen."""
    stack.up(*MONITORING)
    services = {name for name, each in read_compose(stack.sources)["services"].items() if name in ORDER}

    def scraped() -> Counter[str] | None:
        found = httpx.get(f"{_PROMETHEUS}/api/v1/targets", timeout=10).json()["data"]["activeTargets"]
        up = Counter(each["labels"]["job"] for each in found if each["health"] == "up")
        # A name resolves to all containers, and analysis has two.
        return up if up.keys() >= {*services, "probe"} and up["analysis"] == 2 else None

    targets = wait_until(
        scraped,
        "every service and the probe are scraped",
        within_s=PATIENCE_S,
        interval_s=1,
        retry_on=(httpx.HTTPError, KeyError, ValueError),
    )

    def alerting() -> list[str] | None:
        alerts = httpx.get(f"{_ALERTMANAGER}/api/v2/alerts", timeout=10).json()
        return [each["labels"]["alertname"] for each in alerts]

    alerts = wait_until(
        alerting,
        "the Watchdog reaches Alertmanager",
        within_s=PATIENCE_S,
        interval_s=1,
        retry_on=(httpx.HTTPError, ValueError),
    )
    return f"{sum(targets.values())} targets are up; alerts: {', '.join(sorted(alerts))}"


def cut_network(stack: Stack, api: Api, server: str, seed: int) -> str:
    """Take a server off the network while songs are uploaded, and put it back; return what happened."""
    (container,) = stack.containers(server)
    network = f"{PROJECT}_default"
    with Load(api, seed) as load:
        load.wait_for_more(2)
        stack.docker("network", "disconnect", network, container)
        try:
            wait_until(
                lambda: not api.is_ready(), f"the system notices that {server} is gone", within_s=PATIENCE_S
            )
            say(f"{server} has no network and the system says so")
            load.wait_for_requests(4)
        finally:
            # The name belongs to the connection, so it has to be given again.
            stack.docker("network", "connect", "--alias", server, network, container)
        api.wait_until_ready()
        load.wait_for_more(2)
    return load.assert_nothing_lost()


def upgrade(stack: Stack, api: Api, version: str, seed: int) -> str:
    """Replace every container of the project by those of `stack`, one after another, while songs are uploaded."""
    with Load(api, seed) as load:
        load.wait_for_more(3)
        stack.up(*SERVERS)
        say("the servers run with the new configuration")
        for job in JOBS:
            stack.run_job(job)
        say("keys, streams and schemas are those of the new release")
        for service in ORDER:
            stack.up("--no-deps", service)
            say(f"{service} is replaced")
        api.wait_until_ready()
        load.wait_for_more(3)
    images = {each["Service"]: each["Image"] for each in stack.states()}
    old = [name for name in ORDER if not images[name].endswith(f":{version}")]
    assert not old, f"not replaced: {old}"
    return load.assert_nothing_lost()
