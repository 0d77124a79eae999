"""Implements the baseline: deploys to one device after the other, without event log, locks or batches."""

import time
from collections.abc import Sequence
from uuid import uuid4

from k1_contracts.messages.deploy.device_link import (
    Activate,
    Deactivate,
    DeviceCommand,
    DeviceReply,
    Info,
    Verb,
)
from k1_deploy.devices.device_link.link import DeviceLink
from k1_deploy.orchestration.storage.bundle_locations import BundleLocator, location_of
from tests.chaos.deployments.signed_bundles import SignedBundle

TIMEOUT_S = 30.0


class SequentialDeployment:
    """Sends each command once and waits for its final reply; any failure raises AssertionError."""

    def __init__(
        self, link: DeviceLink, bundles: BundleLocator, old: SignedBundle, new: SignedBundle
    ) -> None:
        self._link = link
        self._bundles = bundles
        self._old = old
        self._new = new

    async def roll_out(self, device_ids: Sequence[str]) -> float:
        """Stage on each device, activate each, then check the running bundle of each; return seconds."""
        started = time.monotonic()
        for device_id in device_ids:
            stage = self._bundles.stage(location_of(self._new.info), uuid4().hex)
            await self._call(device_id, "stage", stage)
        for device_id in device_ids:
            await self._call(
                device_id, "activate", Activate(command_id=uuid4().hex, bundle_sha256=self._new.sha256)
            )
        for device_id in device_ids:
            await self._require(device_id, self._new)
        return time.monotonic() - started

    async def roll_back(self, device_ids: Sequence[str]) -> float:
        """Restore the old bundle on each device and check that it runs; return seconds."""
        started = time.monotonic()
        for device_id in device_ids:
            deactivate = Deactivate(command_id=uuid4().hex, restore=self._old.sha256)
            await self._call(device_id, "deactivate", deactivate)
        for device_id in device_ids:
            await self._require(device_id, self._old)
        return time.monotonic() - started

    async def _require(self, device_id: str, bundle: SignedBundle) -> None:
        reply = await self._call(device_id, "info", Info(command_id=uuid4().hex))
        assert reply.hello
        assert reply.hello.active
        assert reply.hello.active.bundle_sha256 == bundle.sha256

    async def _call(self, device_id: str, verb: Verb, command: DeviceCommand) -> DeviceReply:
        reply = await self._link.call(device_id, verb, command, timeout_s=TIMEOUT_S)
        assert reply.status == "done", reply
        return reply
