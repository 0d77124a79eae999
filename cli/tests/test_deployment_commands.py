"""`k1 devices`, `k1 deploy` and `k1 deployments` with a real gateway and NATS server; deploy is a stub."""

import asyncio
import json
import os
import stat
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cli.tests.command_runner import CommandResult, home_of_stack
from cli.tests.deployment_samples import DEPLOYMENT, TRACK, at, rollout, step, view
from k1_cli.stack.embedded.home import Home
from k1_contracts.messages.catalogue.tracks import TRACK_GET, TrackDetail
from k1_contracts.messages.deploy.deployment_queries import (
    DEPLOYMENT_CONTROL,
    DEPLOYMENT_GET,
    DEPLOYMENT_LIST,
    DEPLOYMENT_PLAN,
    ControlDeployment,
    DeploymentPage,
    DeploymentPlan,
    DeploymentView,
    DeviceDeployment,
    GetDeployment,
    ListDeployments,
    PlanDeployment,
)
from k1_contracts.messages.deploy.deployments import DEPLOYMENT_CHANGED, DeploymentChange
from k1_contracts.messages.deploy.devices import (
    DEVICE_ADD,
    DEVICE_GET,
    DEVICE_LIST,
    DEVICE_REVOKE,
    AddDevices,
    DeviceCredential,
    DevicePage,
    DevicesAdded,
    DeviceServers,
    DevicesRevoked,
    DeviceView,
    ListDevices,
    RevokeDevices,
)
from k1_platform.nats.bus.client import Bus
from k1_platform.nats.queries.rpc import QueryError, QueryHandler, respond
from tests.support.bus import connected_bus, flush
from tests.support.fork_server import run_forked
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import RunningService, running_service

GOLDEN = Path(__file__).parents[2] / "libs" / "contracts" / "tests" / "golden"
KEYS = '{"keys": []}'
SERVERS = DeviceServers(nats_url="tls://10.0.0.1:4222", mqtt_url="mqtts://10.0.0.1:8883", ca="a certificate")


def golden(model: Any) -> Any:
    return model.model_validate_json((GOLDEN / model.__name__ / "v1.json").read_text())


@pytest.fixture(scope="module")
def gateway(
    provisioned: Infrastructure, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService]:
    with running_service("gateway", provisioned.environment, tmp_path_factory.mktemp("gateway")) as running:
        yield running


class K1:
    """Runs the command line on a home whose stack is the gateway and the NATS server of these tests."""

    def __init__(self, home: Home) -> None:
        self.home = home

    async def __call__(self, *arguments: str) -> CommandResult:
        done = await asyncio.to_thread(
            run_forked, "k1_cli", *self._options(arguments), environment=self._environment, timeout_s=240
        )
        return CommandResult(done.returncode, done.stdout, done.stderr)

    def _options(self, arguments: tuple[str, ...]) -> tuple[str, ...]:
        return *arguments, "--home", str(self.home.root)

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, "COLUMNS": "200", "PYTHONFAULTHANDLER": "1"}

    async def begin(self, *arguments: str) -> Process:
        """Start a command whose messages are read while it runs."""
        argv = [sys.executable, "-m", "k1_cli", *self._options(arguments)]
        return await asyncio.create_subprocess_exec(*argv, stdout=PIPE, stderr=PIPE, env=self._environment)

    async def end(self, process: Process) -> CommandResult:
        try:
            async with asyncio.timeout(240):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode is not None
        return CommandResult(process.returncode, out.decode(), err.decode())


@pytest.fixture
def k1(gateway: RunningService, provisioned: Infrastructure, tmp_path: Path) -> Iterator[K1]:
    with home_of_stack(tmp_path / "home", gateway.url, provisioned.environment) as home:
        yield K1(home)


@dataclass
class Deploy:
    """A stub of deploy and the catalogue that responds to the queries of the commands."""

    bus: Bus
    view: DeploymentView | None = None
    would_start: bool = True
    devices: list[DeviceView] = field(default_factory=list)
    refusal: QueryError | None = None
    queries: list[Any] = field(default_factory=list)

    def subscribe(self) -> None:
        for query, function in (
            (TRACK_GET, self._track),
            (DEPLOYMENT_PLAN, self._plan),
            (DEPLOYMENT_GET, self._get),
            (DEPLOYMENT_LIST, self._list),
            (DEPLOYMENT_CONTROL, self._get),
            (DEVICE_LIST, self._list_devices),
            (DEVICE_GET, self._device),
            (DEVICE_ADD, self._add),
            (DEVICE_REVOKE, self._revoke),
        ):
            respond(self.bus.broker, [QueryHandler(query, self._record(function))])

    def _record(self, function: Any) -> Any:
        async def reply(query: Any) -> Any:
            self.queries.append(query)
            if self.refusal is not None:
                raise self.refusal
            return function(query)

        return reply

    def of(self, model: type) -> list[Any]:
        """Return the queries of one type; the gateway may still watch a deployment of an earlier test."""
        return [query for query in self.queries if isinstance(query, model)]

    async def publish(self, change: DeploymentChange) -> None:
        """Publish a change to all that watch a deployment; the gateway assigned its id."""
        for id_ in {query.deployment_id for query in self.of(GetDeployment)}:
            await self.bus.client.publish(DEPLOYMENT_CHANGED.subject_for(id_), change.to_json())

    def _track(self, _: Any) -> Any:
        return golden(TrackDetail)

    def _plan(self, _: Any) -> Any:
        return golden(DeploymentPlan).model_copy(update={"would_start": self.would_start})

    def _get(self, query: Any) -> Any:
        if self.view is None:
            raise QueryError("deployment_not_found", "There is no such deployment.", 404)
        return self.view.model_copy(update={"id": query.deployment_id})

    def _list(self, _: Any) -> Any:
        assert self.view is not None
        return DeploymentPage(total=1, items=[self.view])

    def _list_devices(self, query: ListDevices) -> Any:
        start = int(query.cursor or 0)
        end = start + query.limit
        more = str(end) if end < len(self.devices) else None
        return DevicePage(total=len(self.devices), items=self.devices[start:end], next_cursor=more)

    def _device(self, _: Any) -> Any:
        return golden(DeviceView)

    def _add(self, query: AddDevices) -> Any:
        credentials = [
            DeviceCredential(
                device_id=name,
                transport=query.transport,
                secret=f"secret of {name}",
                client_id="secret id",
            )
            for name in query.device_ids
        ]
        return DevicesAdded(credentials=credentials, trusted_keys=KEYS, servers=SERVERS)

    def _revoke(self, query: RevokeDevices) -> Any:
        return DevicesRevoked(device_ids=query.device_ids)


@pytest.fixture
async def deploy(provisioned: Infrastructure) -> AsyncIterator[Deploy]:
    async with connected_bus(service="deploy") as bus:
        deploy = Deploy(bus)
        deploy.subscribe()
        await bus.broker.start()
        await flush(bus.client)
        yield deploy


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_credentials_are_files_for_their_owner_alone(k1: K1, deploy: Deploy) -> None:
    """There is one file per device, and the keys that sign bundles; no secret is printed."""
    done = await k1("devices", "add", "--count", "3", "--prefix", "left-", "--group", "stage")
    assert done.returncode == 0, done.stderr
    folder = k1.home.root / "devices"
    names = ["ca.pem", "left-01.creds", "left-02.creds", "left-03.creds", "server.json", "trusted-keys.json"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert (
        (folder / "left-02.creds")
        .read_text()
        .startswith("secret of left-02\n# The server is tls://10.0.0.1:4222")
    )
    assert "devices connect to NATS tls://10.0.0.1:4222" in done.stdout
    assert {mode(path) for path in folder.iterdir()} == {0o600}
    assert mode(folder) == 0o700
    assert "secret of" not in done.stdout + done.stderr
    assert deploy.of(AddDevices) == [AddDevices(device_ids=["left-01", "left-02", "left-03"], group="stage")]


async def test_mqtt_has_user_and_password(k1: K1, deploy: Deploy, tmp_path: Path) -> None:
    """The files are JSON in the given folder, with new credentials for existing devices."""
    out = tmp_path / "some" / "where"
    done = await k1("devices", "add", "k1-a", "--mqtt", "--renew", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert json.loads((out / "k1-a.mqtt.json").read_text()) == {
        "client_id": "secret id",
        "user": "k1-a",
        "password": "secret of k1-a",
        "host": "10.0.0.1",
        "port": 8883,
        "tls": True,
        "ca": "a certificate",
    }
    assert deploy.of(AddDevices) == [AddDevices(device_ids=["k1-a"], transport="mqtt", renew=True)]


async def test_secrets_are_printed_only_when_asked_for(k1: K1, deploy: Deploy) -> None:
    """The secrets are printed and no file is written."""
    done = await k1("devices", "add", "k1-a", "--print")
    assert "secret of k1-a" in done.stdout
    assert KEYS in done.stdout
    assert not (k1.home.root / "devices").exists()


async def test_what_deploy_refuses_is_one_sentence(k1: K1, deploy: Deploy, tmp_path: Path) -> None:
    """The message is deploy's sentence and no file is left. A read-only folder is an error before any request."""
    deploy.refusal = QueryError("device_exists", "There is a device k1-a already.", 409)
    done = await k1("devices", "add", "k1-a")
    assert (done.returncode, done.stderr) == (1, "k1: There is a device k1-a already. (device_exists)\n")
    assert list((k1.home.root / "devices").iterdir()) == []
    asked = len(deploy.of(AddDevices))
    (tmp_path / "file").touch()
    done = await k1("devices", "add", "k1-a", "--out", str(tmp_path / "file" / "x"))
    assert done.returncode == 1
    assert "nothing was added" in done.stderr
    assert len(deploy.of(AddDevices)) == asked


async def test_a_stopped_deploy_is_an_error(k1: K1) -> None:
    done = await k1("devices", "revoke", "k1-a")
    assert done.returncode == 1
    assert done.stderr.startswith("k1: the deploy service does not run; `./k1 status --home ")


async def test_devices_are_revoked(k1: K1, deploy: Deploy) -> None:
    done = await k1("devices", "revoke", "k1-a", "k1-b")
    assert (done.returncode, done.stdout) == (0, "revoked: k1-a, k1-b\n")
    assert deploy.of(RevokeDevices) == [RevokeDevices(device_ids=["k1-a", "k1-b"])]


async def test_devices_are_listed_page_by_page(k1: K1, deploy: Deploy) -> None:
    """All devices are listed, however many, as a table and as JSON."""
    one = golden(DeviceView)
    deploy.devices = [one.model_copy(update={"id": f"k1-{number}"}) for number in range(1200)]
    done = await k1("devices", "list", "--group", "stage", "--json")
    assert [item["id"] for item in done.json["items"]] == [f"k1-{number}" for number in range(1200)]
    asked = deploy.of(ListDevices)
    assert [query.cursor for query in asked] == [None, "1000"]
    assert {query.group for query in asked} == {"stage"}
    deploy.devices = deploy.devices[:2]
    done = await k1("devices", "list")
    assert "k1-1" in done.stdout
    assert "drift_ms > 50" in done.stdout
    assert done.stdout.endswith("2 of 2 online\n")
    shown = await k1("devices", "show", "k1-stage-left")
    assert "firmware: 2.3.1" in shown.stdout


async def test_an_order_carries_every_option(k1: K1, deploy: Deploy) -> None:
    """The options arrive in the plan query on NATS."""
    deploy.view = rollout(2)
    done = await k1(
        "deploy", TRACK, "--version", "3", "--devices", "k1-a,k1-b", "--canary", "1", "--batch-size", "5",
        "--max-failures", "10%", "--observe", "3", "--at", "2126-05-01T20:00:00Z", "--by", "ada",
        "--override", "firmware:k1-a=tested by hand today", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.json["status"] == "queued"
    assert deploy.of(PlanDeployment) == [
        PlanDeployment.model_validate(
            {
                "track_id": TRACK,
                "version": 3,
                "device_ids": ["k1-a", "k1-b"],
                "strategy": {"canary": 1, "batch_size": 5, "max_failures": "10%", "observe_seconds": 3},
                "activation": {"when": "time", "at": "2126-05-01T20:00:00Z"},
                "overrides": [{"gate": "firmware", "device_id": "k1-a", "reason": "tested by hand today"}],
                "requested_by": "ada",
            }
        )
    ]


async def test_all_devices_and_the_current_version(k1: K1, deploy: Deploy) -> None:
    """`--all` names every device; a downbeat is one of the playing track's current version."""
    deploy.view = rollout(2)
    one = golden(DeviceView)
    deploy.devices = [one.model_copy(update={"id": f"k1-{number}"}) for number in range(3)]
    done = await k1("deploy", TRACK, "--all", "--on-downbeat", f"{TRACK}@2026-05-01T20:00:00Z")
    assert done.returncode == 0, done.stderr
    (order,) = deploy.of(PlanDeployment)
    current = golden(TrackDetail).track.current_version
    assert (order.device_ids, order.version, order.activation.version) == (
        ["k1-0", "k1-1", "k1-2"],
        current,
        current,
    )


async def test_a_dry_run_is_shown(k1: K1, deploy: Deploy) -> None:
    """The plan says what each device would do; the exit code is 1 where nothing would start."""
    done = await k1("deploy", TRACK, "--group", "stage", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "1. Stage 43 KB on 1 device" in done.stdout
    assert "f_measure overridden: F-measure .74 is below .80" in done.stdout
    deploy.would_start = False
    done = await k1("deploy", TRACK, "--group", "stage", "--dry-run")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "it would not start")


async def test_a_blocked_deployment_names_the_gates(k1: K1, deploy: Deploy) -> None:
    deploy.would_start = False
    done = await k1("deploy", TRACK, "--group", "stage")
    assert done.returncode == 1
    assert done.stderr.startswith("k1: the deployment would not start: there is no device to take it\n")
    assert "let --max-failures allow for them, or pass a gate with --override GATE=REASON" in done.stderr
    assert "strategy." not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--all", "--group", "x"),
        (),
        ("--all", "--at", "x", "--on-downbeat", "y"),
        ("--all", "--canary", "-1"),
    ],
)
async def test_a_wrong_use_is_code_2(k1: K1, arguments: tuple[str, ...]) -> None:
    assert (await k1("deploy", TRACK, *arguments)).returncode == 2


@pytest.mark.parametrize(("end", "code"), [("succeeded", 0), ("rolled_back", 1), ("rollback_pending", 1)])
async def test_watching_ends_with_the_deployment(
    k1: K1, deploy: Deploy, tmp_path: Path, end: Any, code: int
) -> None:
    """Without a terminal each change is a line; the exit code is 0 only for a success; the picture is drawn."""
    device = DeviceDeployment(device_id="k1-a", outcome="staging", batch=1)
    deploy.view = view([device], "staging", 1)
    picture = tmp_path / "timeline.png"
    watching = await k1.begin(
        "deploy", TRACK, "--devices", "k1-a", "--watch", "--png", str(picture), "--json"
    )
    failed = step("stage", 0, 1, "failed", detail="no_space: 3 MB are missing")
    change = DeploymentChange(
        deployment_id=DEPLOYMENT,
        status="activating",
        device_id="k1-a",
        step=failed,
        outcome="failed",
        at=at(2),
    )
    line = asyncio.create_task(_line(watching, "k1-a stage failed: no_space: 3 MB are missing"))
    while not line.done():  # a change before the command subscribes is lost
        await deploy.publish(change)
        await asyncio.wait({line}, timeout=0.1)
    await line
    deploy.view = view([device.model_copy(update={"outcome": "committed"})], end, 4)
    await deploy.publish(change.model_copy(update={"status": end}))
    done = await k1.end(watching)
    assert done.returncode == code, done.stderr
    assert done.json["status"] == end
    assert picture.read_bytes().startswith(b"\x89PNG")


async def _line(process: Process, words: str) -> None:
    """Read the messages of the command up to a line with this text."""
    assert process.stderr is not None
    said = b""
    async with asyncio.timeout(240):
        while words.encode() not in said:
            said = await process.stderr.readline()
            assert said, "it has ended without a word of it"


async def test_deployments_are_listed_shown_and_controlled(k1: K1, deploy: Deploy, tmp_path: Path) -> None:
    """Deployments are shown as tables, JSON and a picture; controls reach deploy with the person and the reason."""
    deploy.view = rollout(3, canary=1)
    listed = await k1("deployments", "list", "--status", "succeeded", "--track", TRACK)
    assert DEPLOYMENT in listed.stdout
    assert "3 committed" in listed.stdout
    assert deploy.of(ListDeployments) == [ListDeployments(track_id=TRACK, status="succeeded", limit=20)]
    shown = await k1("deployments", "show", DEPLOYMENT)
    assert "k1-01" in shown.stdout
    picture = tmp_path / "timeline.png"
    drawn = await k1("deployments", "show", DEPLOYMENT, "--png", str(picture), "--json")
    assert drawn.json["id"] == DEPLOYMENT
    assert drawn.stderr == f"wrote {picture}\n"
    assert picture.read_bytes().startswith(b"\x89PNG")
    for action in ("cancel", "rollback", "pause", "resume"):
        done = await k1("deployments", action, DEPLOYMENT, "--reason", "the singer is late")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"{DEPLOYMENT}: succeeded")
    controls = deploy.of(ControlDeployment)
    assert [control.action for control in controls] == ["cancel", "rollback", "pause", "resume"]
    assert {control.reason for control in controls} == {"the singer is late"}


async def test_an_unknown_deployment_is_an_error(k1: K1, deploy: Deploy) -> None:
    done = await k1("deployments", "show", DEPLOYMENT)
    assert (done.returncode, done.stderr) == (1, "k1: There is no such deployment. (deployment_not_found)\n")
