"""Verifies a bundle before a device reports it as staged."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from k1_contracts.firmware import FirmwareVersion
from k1_contracts.graph import BundleManifest
from k1_contracts.messages.deploy.device_link import ReplyCode
from k1_graph.bundle.container import read_bundle
from k1_graph.errors import BundleError, UnknownKeyError
from k1_platform.processes.threads import in_thread
from k1_simulator.profile import Profile
from k1_simulator.state_machine.keys import public_keys

_KEPT: Final = 64


class StageError(Exception):
    """A bundle cannot be staged; `code` is the code of the reply."""

    def __init__(self, code: ReplyCode, message: str) -> None:
        super().__init__(message)
        self.code: ReplyCode = code


@dataclass(frozen=True, slots=True)
class VerifiedBundle:
    """What a device needs of a bundle that a trusted key has signed."""

    manifest: BundleManifest
    duration_ms: float
    """Of its song."""


def check_signature(data: bytes, trusted: Mapping[str, str]) -> VerifiedBundle:
    """Return a bundle that a trusted key has signed and that can be decoded.

    Raises:
        StageError: `unknown_key` or `bad_signature`.
    """
    try:
        contents = read_bundle(data, public_keys(trusted))
    except UnknownKeyError as error:
        raise StageError("unknown_key", str(error)) from error
    except BundleError as error:
        raise StageError("bad_signature", str(error)) from error
    return VerifiedBundle(contents.manifest, contents.genesis.global_metrics.duration_ms)


def check_fits(manifest: BundleManifest, profile: Profile) -> None:
    """Check that this device can run the bundle.

    Raises:
        StageError: `firmware_too_old` or `missing_nodes`.
    """
    needed = manifest.firmware_min_version
    try:
        new_enough = FirmwareVersion.parse(profile.firmware) >= FirmwareVersion.parse(needed)
    except ValueError as error:
        raise StageError("firmware_too_old", f"the bundle needs firmware {needed!r}, no version") from error
    if not new_enough:
        raise StageError(
            "firmware_too_old", f"the bundle needs firmware {needed}, this is {profile.firmware}"
        )
    missing = sorted(set(manifest.required_nodes) - set(profile.node_types))
    if missing:
        raise StageError("missing_nodes", f"this device does not know {', '.join(missing)}")


class SignatureCache:
    """Verifies each signature once for all devices of a process, because equal bytes and keys have equal results.

    Decoding a bundle takes tens of milliseconds; each of a thousand devices would wait for the others.
    """

    def __init__(self) -> None:
        self._checks: OrderedDict[tuple[str, ...], asyncio.Task[VerifiedBundle]] = OrderedDict()

    async def verify(self, sha256: str, data: bytes, trusted: Mapping[str, str]) -> VerifiedBundle:
        """Return the bundle; `sha256` is the hash of `data`. Raises as `check_signature`."""
        key = (sha256, *sorted(trusted))
        if key not in self._checks:
            work = in_thread(check_signature, data, dict(trusted))
            self._checks[key] = asyncio.create_task(work)
            if len(self._checks) > _KEPT:
                self._checks.popitem(last=False)
        # A device that gives up must not cancel the check for the others.
        return await asyncio.shield(self._checks[key])
