"""The peer: devices served one after the other over the same link, with no log, no locks and no batches."""

import time
from collections.abc import Sequence
from uuid import uuid4

from k1_contracts.devices import Activate, Deactivate, DeviceCommand, DeviceReply, Info, Verb
from k1_deploy.devices.link import DeviceLink
from k1_deploy.driving.bundles import Bundles, source_of
from tests.chaos.deployments.signed_bundles import SignedBundle

TIMEOUT_S = 30.0


class OneByOne:
    """Says each command once and waits for its final answer; whatever goes wrong ends it."""

    def __init__(self, link: DeviceLink, bundles: Bundles, old: SignedBundle, new: SignedBundle) -> None:
        self._link = link
        self._bundles = bundles
        self._old = old
        self._new = new

    async def roll_out(self, device_ids: Sequence[str]) -> float:
        """Stage on each, then activate each, then ask each what it runs; s."""
        began = time.monotonic()
        for device_id in device_ids:
            stage = self._bundles.stage(source_of(self._new.info), uuid4().hex)
            await self._call(device_id, "stage", stage)
        for device_id in device_ids:
            await self._call(
                device_id, "activate", Activate(command_id=uuid4().hex, bundle_sha256=self._new.sha256)
            )
        for device_id in device_ids:
            await self._require(device_id, self._new)
        return time.monotonic() - began

    async def roll_back(self, device_ids: Sequence[str]) -> float:
        """Back to the old bundle, each asked what it runs; s."""
        began = time.monotonic()
        for device_id in device_ids:
            back = Deactivate(command_id=uuid4().hex, restore=self._old.sha256)
            await self._call(device_id, "deactivate", back)
        for device_id in device_ids:
            await self._require(device_id, self._old)
        return time.monotonic() - began

    async def _require(self, device_id: str, bundle: SignedBundle) -> None:
        reply = await self._call(device_id, "info", Info(command_id=uuid4().hex))
        assert reply.hello
        assert reply.hello.active
        assert reply.hello.active.bundle_sha256 == bundle.sha256

    async def _call(self, device_id: str, verb: Verb, command: DeviceCommand) -> DeviceReply:
        reply = await self._link.call(device_id, verb, command, timeout_s=TIMEOUT_S)
        assert reply.status == "done", reply
        return reply
