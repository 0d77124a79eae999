"""Defines what is installed on a device when it is provisioned: its credential and its trusted keys."""

from collections.abc import Iterable

from k1_contracts.base import Contract
from k1_contracts.messages.deploy.device_link import DeviceId, Transport
from k1_contracts.messages.deploy.devices import DeviceCredential, DevicesAdded


class Identity(Contract):
    """The identity of one device; without a credential it connects to NATS by the fleet's settings."""

    device_id: DeviceId
    credential: DeviceCredential | None = None
    trusted_keys: str
    """A JWK set for the device's first start; `trust` commands replace it later."""

    @property
    def transport(self) -> Transport:
        """Return the protocol of the device's connection."""
        return self.credential.transport if self.credential else "nats"


def device_names(prefix: str, count: int) -> list[str]:
    """Return the ids `<prefix>-0001`, `<prefix>-0002` and so on."""
    return [f"{prefix}-{number:04d}" for number in range(1, count + 1)]


def provisioned(added: DevicesAdded) -> list[Identity]:
    """Return the identities in the response of `rpc.deploy.device.add`."""
    return [
        Identity(device_id=credential.device_id, credential=credential, trusted_keys=added.trusted_keys)
        for credential in added.credentials
    ]


def anonymous(device_ids: Iterable[str], trusted_keys: str) -> list[Identity]:
    """Return identities without credentials, for tests and load on a bus that accepts them."""
    return [Identity(device_id=device_id, trusted_keys=trusted_keys) for device_id in device_ids]
