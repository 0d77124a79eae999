"""A stub of deploy behind a real gateway, and the command line that talks to them."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass, field
from typing import Any

from cli.tests.command_runner import CommandResult
from cli.tests.golden import golden
from k1_cli.stack.embedded.home import Home
from k1_contracts.messages.catalogue.tracks import TRACK_GET, TrackDetail
from k1_contracts.messages.deploy.deployment_queries import (
    DEPLOYMENT_CONTROL,
    DEPLOYMENT_GET,
    DEPLOYMENT_LIST,
    DEPLOYMENT_PLAN,
    DeploymentPage,
    DeploymentPlan,
    DeploymentView,
    GetDeployment,
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
from tests.support.fork_server import run_forked

KEYS = '{"keys": []}'
SERVERS = DeviceServers(nats_url="tls://10.0.0.1:4222", mqtt_url="mqtts://10.0.0.1:8883", ca="a certificate")


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
