"""Runs many simulated devices in one process, for `k1 sim`, tests and benchmarks."""

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import aiohttp

from k1_platform.auth.tls import client_context
from k1_simulator.device import Device, DeviceState
from k1_simulator.event_log import Activation, Change, EventLog, FlashContents
from k1_simulator.factory_bundle import factory_bundle
from k1_simulator.faults.fault_injector import FaultInjector
from k1_simulator.faults.models import FaultPlan
from k1_simulator.fleet_context import BehaviourConfig, FleetContext, Servers
from k1_simulator.identity import Identity
from k1_simulator.profile import Profile

_HTTP_CONNECTIONS: Final = 64


class FleetError(Exception):
    """The devices did not come online; the message says how many and why."""


class Fleet:
    """Runs devices that keep their folders from run to run; the same seed and faults give the same behaviour.

    It is an asynchronous context manager: inside it all devices are online, and at the end all say bye.
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
        behaviour: BehaviourConfig | None = None,
        profiles: Mapping[str, Profile] | None = None,
        on_change: Callable[[Change], None] | None = None,
        on_flash_change: Callable[[FlashContents], None] | None = None,
    ) -> None:
        """Create a fleet without starting it.

        Args:
            identities: the devices.
            servers: the servers to which they connect.
            folder: the parent of the devices' folders.
            seed: the seed of all random behaviour.
            faults: the faults to simulate.
            factory: the bundle that devices run at their first start; True generates one.
            behaviour: the behaviour of all devices.
            profiles: the profiles of devices that differ from `Profile()`.
            on_change: called in the event loop for each change of a device.
            on_flash_change: called in the event loop after each start and after each change of a flash.
        """
        self._identities = identities
        self._servers = servers
        self._folder = folder
        self._seed = seed
        self._faults = faults or FaultPlan()
        self._factory = factory_bundle(seed) if factory is True else factory or None
        self._habits = behaviour or BehaviourConfig()
        self._profiles = profiles or {}
        self._journal = EventLog(on_change, on_flash_change)
        self._http: aiohttp.ClientSession | None = None
        self._devices: dict[str, Device] = {}

    async def start(self, within_s: float = 60.0) -> None:
        """Start all devices and wait until all have said hello.

        Raises:
            FleetError: some devices are not online in time; all are stopped.
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
        context = FleetContext(self._servers, self._habits, self._seed, self._journal, http, tls)
        faults = self._faults.assign([identity.device_id for identity in self._identities], self._seed)
        plain = Profile()
        for identity in self._identities:
            self._devices[identity.device_id] = Device(
                identity,
                self._folder / identity.device_id,
                context,
                profile=self._profiles.get(identity.device_id, plain),
                faults=FaultInjector(faults[identity.device_id]),
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
        """Stop all devices with a bye; do nothing if none runs."""
        await asyncio.gather(*(device.stop() for device in self._devices.values()))
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def kill(self, device_id: str) -> None:
        """Simulate a power cut: the connection breaks without a bye, and the device is offline until `restart`.

        The server notices this a moment later, so messages sent to the device in between are lost.
        """
        await self._devices[device_id].kill()

    async def restart(self, device_id: str) -> None:
        """Start a device from its flash and wait for its hello; kill it first if it runs."""
        device = self._devices[device_id]
        await device.kill()
        await device.start()
        await device.online()

    def end_faults(self) -> None:
        """End all faults; devices that a fault keeps offline come back."""
        for device in self._devices.values():
            device.end_faults()

    def state(self, device_id: str) -> DeviceState:
        """Return what one device is doing."""
        return self._devices[device_id].state()

    def states(self) -> dict[str, DeviceState]:
        """Return what each device is doing, by id."""
        return {device_id: device.state() for device_id, device in self._devices.items()}

    def activations(self) -> list[Activation]:
        """Return when bundles started to run, on the device clocks and the host clock, oldest first."""
        return list(self._journal.activations)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
