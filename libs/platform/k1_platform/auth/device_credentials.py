"""Issues the credentials of devices, for the deploy service, which alone has the keys for this.

The token of a device contains its name and no permissions. The permissions come from the template of the key that
signed it (see claims.py), so they can change without new credentials.
"""

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from k1_contracts.messages.deploy.device_link import DEVICE_ID, Transport
from k1_contracts.messages.deploy.devices import DeviceCredential
from k1_platform.auth.claims import AccountKeys, device_claims
from k1_platform.auth.jwt import KeyPair, credentials_text, encode
from k1_platform.auth.nkeys import read_key

_CLIENT_ID_LENGTH: Final = 23
"""The length that every MQTT 3.1.1 server and client accepts; it holds 115 bits."""


@dataclass(frozen=True, slots=True)
class DeviceKeys:
    """The keys in the folder `deploy/` of the NATS keys."""

    account: AccountKeys
    device: KeyPair
    device_mqtt: KeyPair
    operator_signing: KeyPair
    account_keeper: Path
    """The credentials file of the user who may replace the account."""


@dataclass(frozen=True, slots=True)
class MintedCredential:
    """A new credential. Store `public_key`, which is needed to revoke it; do not store the secret."""

    public_key: str
    credential: DeviceCredential


def load_device_keys(folder: Path) -> DeviceKeys:
    """Read the folder K1_DEPLOY_NATS_KEYS.

    Raises:
        NatsTokenError: a file contains no seed.
        OSError: a file cannot be read.
    """
    return DeviceKeys(
        account=AccountKeys(**json.loads((folder / "account.json").read_text())),
        device=read_key(folder / "device.nk"),
        device_mqtt=read_key(folder / "device-mqtt.nk"),
        operator_signing=read_key(folder / "operator-signing.nk"),
        account_keeper=folder / "system.creds",
    )


def mint(
    keys: DeviceKeys, device_id: str, transport: Transport, user: KeyPair, issued_at: int
) -> MintedCredential:
    """Issue the credential of a device. `user`: a new user key, used only for this credential; `issued_at` in s.

    Raises:
        ValueError: `device_id` is not a device id. It becomes part of subjects, so nothing else may be used.
    """
    if not DEVICE_ID.fullmatch(device_id):
        raise ValueError(f"{device_id!r} is no device id: 1 to 40 of A-Z a-z 0-9 - _")
    claims = device_claims(user.public_key, keys.account.account, device_id, issued_at)
    if transport == "mqtt":
        token = encode(claims, keys.device_mqtt)
        credential = DeviceCredential(
            device_id=device_id,
            transport=transport,
            user=device_id,
            secret=token,
            client_id=mqtt_client_id(token),
        )
    else:
        text = credentials_text(encode(claims, keys.device), user)
        credential = DeviceCredential(device_id=device_id, transport=transport, secret=text)
    return MintedCredential(user.public_key, credential)


def mqtt_client_id(token: str) -> str:
    """Return the MQTT client id that belongs to a token.

    The id is derived from the secret token, so it is bound to the credential and need not be stored. An older
    credential file that contains no client id has one too.
    """
    digest = hashlib.sha256(b"k1 mqtt client id\0" + token.encode()).digest()
    return base64.b32encode(digest).decode().lower()[:_CLIENT_ID_LENGTH]
