"""One simulated device over its restarts."""

import asyncio
import random
from dataclasses import dataclass
from pathlib import Path

from k1_contracts.devices import RunningBundle
from k1_simulator.disk import DeviceDisk
from k1_simulator.fault_box import FaultBox
from k1_simulator.identity import Identity
from k1_simulator.keys import read_keys
from k1_simulator.life import Life, Parts
from k1_simulator.link import LinkError, Open
from k1_simulator.machine import Machine
from k1_simulator.memory import Memory
from k1_simulator.mqtt_link import mqtt_link
from k1_simulator.nats_link import nats_link
from k1_simulator.profile import Profile
from k1_simulator.world import World


@dataclass(frozen=True, slots=True)
class DeviceState:
    """What a device is doing, as seen from outside the protocol."""

    device_id: str
    online: bool
    active: RunningBundle | None
    staged: tuple[str, ...]
    fence: int
    armed: str | None
    """The bundle that waits for its moment."""
    received_bytes: int | None
    """Of the transfer that runs."""
    trouble: str | None
    """Why it is not online, where that is known."""


class Device:
    """What is on its disk outlives everything; what it has of faults lives with this object."""

    def __init__(
        self,
        identity: Identity,
        folder: Path,
        world: World,
        *,
        profile: Profile,
        faults: FaultBox,
        factory: bytes | None = None,
    ) -> None:
        """`factory`: a bundle that the device runs at its very first start."""
        self.identity = identity
        self._profile = profile
        self._factory = factory
        self._world = world
        self._life: Life | None = None
        self._rebooting: asyncio.Task[None] | None = None
        self._parts = Parts(_link(identity, world), DeviceDisk(folder), faults, world, self._crash)
        self._memory = Memory(device_id=identity.device_id, trusted=read_keys(identity.trusted_keys))

    async def start(self) -> None:
        """Begin; harmless while it runs."""
        if self._life is not None:
            return
        disk = self._parts.disk
        self._memory = memory = disk.load(self._memory)
        if self._factory is not None and memory.boots == 0:
            memory = memory.model_copy(update={"active": disk.add_bundle(self._factory)})
        rng = random.Random(f"{self._world.seed}:{memory.device_id}:{memory.boots}")  # noqa: S311  no secret
        self._life = Life(self._parts, Machine(self._profile, memory), rng)
        self._life.start()

    async def online(self) -> None:
        """Wait until it has said hello; one that shall come late is not waited for."""
        assert self._life is not None
        if not self._life.comes_late:
            await self._life.connection.online.wait()

    async def stop(self) -> None:
        """Say bye and end; harmless when it does not run."""
        await self._end(bye=True)

    async def kill(self) -> None:
        """End as a power cut does; harmless when it does not run."""
        await self._end(bye=False)

    async def _end(self, *, bye: bool) -> None:
        if self._rebooting is not None and self._rebooting is not asyncio.current_task():
            self._rebooting.cancel()
            self._rebooting = None
        life, self._life = self._life, None
        if life is not None:
            await life.end(bye=bye)
            self._memory = life.machine.memory

    def _crash(self, for_s: float) -> None:
        async def reboot() -> None:
            await self.kill()
            await asyncio.sleep(for_s)
            await self.start()

        self._rebooting = asyncio.create_task(reboot())

    def end_faults(self) -> None:
        """Nothing goes wrong from now on, and a fault that keeps it away is over."""
        self._parts.faults.clear()
        if self._life is not None:
            self._life.connection.allow()

    def state(self) -> DeviceState:
        """What it does now."""
        life = self._life
        memory = life.machine.memory if life else self._memory
        active = memory.active
        return DeviceState(
            device_id=memory.device_id,
            online=life is not None and life.connection.online.is_set(),
            active=RunningBundle(**active.model_dump(exclude={"size"})) if active else None,
            staged=tuple(bundle.bundle_sha256 for bundle in memory.others),
            fence=memory.fence,
            armed=memory.armed.bundle_sha256 if memory.armed else None,
            received_bytes=life.transfers.received_bytes if life else None,
            trouble=life.connection.trouble if life else None,
        )


def _link(identity: Identity, world: World) -> Open:
    if identity.transport == "nats":
        return nats_link(identity.device_id, world.servers.nats, identity.credential)
    if world.servers.mqtt_url is None or identity.credential is None:
        raise LinkError(f"{identity.device_id} speaks MQTT, but no MQTT server is known")
    return mqtt_link(identity.device_id, world.servers.mqtt_url, identity.credential, world.tls)
