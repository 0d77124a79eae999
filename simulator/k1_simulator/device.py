"""Runs one simulated device, including its restarts."""

import asyncio
import random
from dataclasses import dataclass
from pathlib import Path

from k1_contracts.messages.deploy.device_link import RunningBundle
from k1_simulator.device_runtime import DeviceResources, DeviceRuntime
from k1_simulator.faults.fault_injector import FaultInjector
from k1_simulator.fleet_context import FleetContext
from k1_simulator.identity import Identity
from k1_simulator.links.link import LinkError, OpenLink
from k1_simulator.links.mqtt_link import mqtt_link
from k1_simulator.links.nats_link import nats_link
from k1_simulator.profile import Profile
from k1_simulator.state_machine.keys import read_keys
from k1_simulator.state_machine.machine import Machine
from k1_simulator.state_machine.memory import Memory
from k1_simulator.transfers.disk import DeviceDisk


@dataclass(frozen=True, slots=True)
class DeviceState:
    """What a device is doing, as seen from outside the protocol."""

    device_id: str
    online: bool
    active: RunningBundle | None
    staged: tuple[str, ...]
    fence: int
    armed: str | None
    """The bundle that waits for its activation time."""
    received_bytes: int | None
    """The bytes received by the current transfer."""
    trouble: str | None
    """Why the device is not online, if known."""


class Device:
    """Starts, stops and restarts one device; its disk outlives this object, its faults do not."""

    def __init__(
        self,
        identity: Identity,
        folder: Path,
        context: FleetContext,
        *,
        profile: Profile,
        faults: FaultInjector,
        factory: bytes | None = None,
    ) -> None:
        """Create a stopped device; with `factory` it runs this bundle at its very first start."""
        self.identity = identity
        self._profile = profile
        self._factory = factory
        self._context = context
        self._runtime: DeviceRuntime | None = None
        self._rebooting: asyncio.Task[None] | None = None
        self._resources = DeviceResources(
            _link(identity, context), DeviceDisk(folder), faults, context, self._crash
        )
        self._memory = Memory(device_id=identity.device_id, trusted=read_keys(identity.trusted_keys))

    async def start(self) -> None:
        """Start the device; do nothing if it runs."""
        if self._runtime is not None:
            return
        disk = self._resources.disk
        self._memory = memory = disk.load(self._memory)
        if self._factory is not None and memory.boots == 0:
            memory = memory.model_copy(update={"active": disk.add_bundle(self._factory)})
        rng = random.Random(f"{self._context.seed}:{memory.device_id}:{memory.boots}")  # noqa: S311  no secret
        self._runtime = DeviceRuntime(self._resources, Machine(self._profile, memory), rng)
        self._runtime.start()

    async def online(self) -> None:
        """Wait until the device has said hello; do not wait for a device with a late start."""
        assert self._runtime is not None
        if not self._runtime.starts_late:
            await self._runtime.connection.online.wait()

    async def stop(self) -> None:
        """Say bye and stop; do nothing if it does not run."""
        await self._end(bye=True)

    async def kill(self) -> None:
        """Stop without a bye, like a power cut; do nothing if it does not run."""
        await self._end(bye=False)

    async def _end(self, *, bye: bool) -> None:
        if self._rebooting is not None and self._rebooting is not asyncio.current_task():
            self._rebooting.cancel()
            self._rebooting = None
        runtime, self._runtime = self._runtime, None
        if runtime is not None:
            await runtime.end(bye=bye)
            self._memory = runtime.machine.memory

    def _crash(self, for_s: float) -> None:
        async def reboot() -> None:
            await self.kill()
            await asyncio.sleep(for_s)
            await self.start()

        self._rebooting = asyncio.create_task(reboot())

    def end_faults(self) -> None:
        """End all faults, including one that keeps the device offline."""
        self._resources.faults.clear()
        if self._runtime is not None:
            self._runtime.connection.allow()

    def state(self) -> DeviceState:
        """Return what the device is doing now."""
        runtime = self._runtime
        memory = runtime.machine.memory if runtime else self._memory
        active = memory.active
        return DeviceState(
            device_id=memory.device_id,
            online=runtime is not None and runtime.connection.online.is_set(),
            active=RunningBundle(**active.model_dump(exclude={"size"})) if active else None,
            staged=tuple(bundle.bundle_sha256 for bundle in memory.others),
            fence=memory.fence,
            armed=memory.armed.bundle_sha256 if memory.armed else None,
            received_bytes=runtime.transfers.received_bytes if runtime else None,
            trouble=runtime.connection.trouble if runtime else None,
        )


def _link(identity: Identity, context: FleetContext) -> OpenLink:
    if identity.transport == "nats":
        return nats_link(identity.device_id, context.servers.nats, identity.credential)
    if context.servers.mqtt_url is None or identity.credential is None:
        raise LinkError(f"{identity.device_id} speaks MQTT, but no MQTT server is known")
    return mqtt_link(identity.device_id, context.servers.mqtt_url, identity.credential, context.tls)
