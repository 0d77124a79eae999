"""Many simulated devices in one process, for `k1 sim`, tests and benchmarks."""

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import aiohttp

from k1_platform.tls import client_context
from k1_simulator.device import Device, DeviceState
from k1_simulator.factory import factory_bundle
from k1_simulator.fault_box import FaultBox
from k1_simulator.faults import FaultPlan
from k1_simulator.identity import Identity
from k1_simulator.journal import Activation, Change, Holding, Journal
from k1_simulator.profile import Profile
from k1_simulator.world import Habits, Servers, World

_HTTP_CONNECTIONS: Final = 64


class FleetError(Exception):
    """The devices did not come online; the message says how many and why."""


class Fleet:
    """Devices that keep their folders from run to run; the same seed and faults give the same behaviour.

    An asynchronous context manager: all are online inside, and all have said bye after it.
    """

    def __init__(
        self,
        identities: Sequence[Identity],
        *,
        servers: Servers,
        folder: Path,
        seed: int = 0,
        faults: FaultPlan | None = None,
        factory: bool | bytes = False,
        habits: Habits | None = None,
        profiles: Mapping[str, Profile] | None = None,
        on_change: Callable[[Change], None] | None = None,
        on_holding: Callable[[Holding], None] | None = None,
    ) -> None:
        """Nothing starts here.

        `folder`: one folder a device within it. `factory`: at their first start devices run a bundle of their
        own, or this one. `profiles`: devices that are not as `Profile()` is. `on_change` and `on_holding` are
        called within the event loop, the latter after every start and every change of what is on a flash.
        """
        self._identities = identities
        self._servers = servers
        self._folder = folder
        self._seed = seed
        self._faults = faults or FaultPlan()
        self._factory = factory_bundle(seed) if factory is True else factory or None
        self._habits = habits or Habits()
        self._profiles = profiles or {}
        self._journal = Journal(on_change, on_holding)
        self._http: aiohttp.ClientSession | None = None
        self._devices: dict[str, Device] = {}

    async def start(self, within_s: float = 60.0) -> None:
        """Start all and wait until all have said hello.

        Raises:
            FleetError: some have not within the time; all are stopped.
            LinkError: a device has no way to connect.
        """
        tls = client_context(self._servers.nats.ca)
        connector = aiohttp.TCPConnector(limit=_HTTP_CONNECTIONS, ssl=tls)
        self._http = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        try:
            self._make_devices(self._http, tls)
            await self._start_devices(within_s)
        except BaseException:
            await self.stop()
            raise

    def _make_devices(self, http: aiohttp.ClientSession, tls: ssl.SSLContext) -> None:
        world = World(self._servers, self._habits, self._seed, self._journal, http, tls)
        faults = self._faults.assigned([identity.device_id for identity in self._identities], self._seed)
        plain = Profile()
        for identity in self._identities:
            self._devices[identity.device_id] = Device(
                identity,
                self._folder / identity.device_id,
                world,
                profile=self._profiles.get(identity.device_id, plain),
                faults=FaultBox(faults[identity.device_id]),
                factory=self._factory,
            )

    async def _start_devices(self, within_s: float) -> None:
        devices = self._devices.values()
        await asyncio.gather(*(device.start() for device in devices))
        try:
            async with asyncio.timeout(within_s):
                await asyncio.gather(*(device.online() for device in devices))
        except TimeoutError as error:
            missing = [state for state in self.states().values() if not state.online]
            why = next((state.trouble for state in missing if state.trouble), "no answer")
            message = f"{len(missing)} of {len(self._devices)} devices are not online after {within_s:.0f} s"
            raise FleetError(f"{message}; {missing[0].device_id}: {why}") from error

    async def stop(self) -> None:
        """Every device says bye; harmless when nothing runs."""
        await asyncio.gather(*(device.stop() for device in self._devices.values()))
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def kill(self, device_id: str) -> None:
        """A power cut: the connection breaks without a bye, and the device is away until `restart`.

        The server notices a moment later: what was sent to the device in between is lost without a word.
        """
        await self._devices[device_id].kill()

    async def restart(self, device_id: str) -> None:
        """Start a device with what its flash holds and wait for its hello; one that runs is killed first."""
        device = self._devices[device_id]
        await device.kill()
        await device.start()
        await device.online()

    def end_faults(self) -> None:
        """Nothing goes wrong from now on; devices that a fault keeps away come back."""
        for device in self._devices.values():
            device.end_faults()

    def state(self, device_id: str) -> DeviceState:
        """What one device is doing."""
        return self._devices[device_id].state()

    def states(self) -> dict[str, DeviceState]:
        """What each device is doing, by id."""
        return {device_id: device.state() for device_id, device in self._devices.items()}

    def activations(self) -> list[Activation]:
        """When bundles began to run, on the devices' clocks and on the host's; the oldest first."""
        return list(self._journal.activations)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
