"""What is installed into a device when it is provisioned: its credential and the keys that it trusts."""

from collections.abc import Iterable

from k1_contracts.base import Contract
from k1_contracts.devices import DeviceId, Transport
from k1_contracts.fleet import DeviceCredential, DevicesAdded


class Identity(Contract):
    """One device's. A device without a credential connects to NATS as the fleet's servers say."""

    device_id: DeviceId
    credential: DeviceCredential | None = None
    trusted_keys: str
    """A JWK set; what counts at the device's first start, afterwards `trust` replaces it."""

    @property
    def transport(self) -> Transport:
        """What the device speaks."""
        return self.credential.transport if self.credential else "nats"


def device_names(prefix: str, count: int) -> list[str]:
    """`<prefix>-0001` and so on."""
    return [f"{prefix}-{number:04d}" for number in range(1, count + 1)]


def provisioned(added: DevicesAdded) -> list[Identity]:
    """What the answer of `rpc.deploy.device.add` installs."""
    return [
        Identity(device_id=credential.device_id, credential=credential, trusted_keys=added.trusted_keys)
        for credential in added.credentials
    ]


def anonymous(device_ids: Iterable[str], trusted_keys: str) -> list[Identity]:
    """Devices without credentials of their own, for tests and load on a bus that lets them in."""
    return [Identity(device_id=device_id, trusted_keys=trusted_keys) for device_id in device_ids]
