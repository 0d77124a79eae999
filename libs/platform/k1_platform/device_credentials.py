"""Credentials of devices: one each, minted with the keys that the service deploy alone is given.

A device's token names it and says nothing of what it may: that follows from the template of the key that signed
it (see nats_claims.py), so that what devices may can change without new credentials.
"""

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from k1_contracts.messages.device_link import DEVICE_ID, Transport
from k1_contracts.messages.devices import DeviceCredential
from k1_platform import nats_claims
from k1_platform.nats_jwt import KeyPair, credentials_text, encode
from k1_platform.nats_keys import read_key

_CLIENT_ID_LENGTH: Final = 23
"""What every MQTT 3.1.1 server and client takes; 115 bits."""


@dataclass(frozen=True, slots=True)
class DeviceKeys:
    """What the folder `deploy/` of the bus's keys holds."""

    account: nats_claims.AccountKeys
    device: KeyPair
    device_mqtt: KeyPair
    operator_signing: KeyPair
    account_keeper: Path
    """The file of credentials that may replace the account."""


@dataclass(frozen=True, slots=True)
class MintedCredential:
    """A new credential. Keep `public_key`, which revokes it, and forget the secret once the device has it."""

    public_key: str
    credential: DeviceCredential


def load_device_keys(folder: Path) -> DeviceKeys:
    """Read the folder K1_DEPLOY_NATS_KEYS.

    Raises:
        NatsTokenError: a file holds no seed.
        OSError: a file cannot be read.
    """
    return DeviceKeys(
        account=nats_claims.AccountKeys(**json.loads((folder / "account.json").read_text())),
        device=read_key(folder / "device.nk"),
        device_mqtt=read_key(folder / "device-mqtt.nk"),
        operator_signing=read_key(folder / "operator-signing.nk"),
        account_keeper=folder / "system.creds",
    )


def mint(
    keys: DeviceKeys, device_id: str, transport: Transport, user: KeyPair, issued_at: int
) -> MintedCredential:
    """The credential of a device. `user`: a fresh user key, used for nothing else; `issued_at` in s.

    Raises:
        ValueError: the id is none; as a part of subjects it must never be anything else.
    """
    if not DEVICE_ID.fullmatch(device_id):
        raise ValueError(f"{device_id!r} is no device id: 1 to 40 of A-Z a-z 0-9 - _")
    claims = nats_claims.device_claims(user.public_key, keys.account.account, device_id, issued_at)
    if transport == "mqtt":
        token = encode(claims, keys.device_mqtt)
        told = DeviceCredential(
            device_id=device_id,
            transport=transport,
            user=device_id,
            secret=token,
            client_id=mqtt_client_id(token),
        )
    else:
        text = credentials_text(encode(claims, keys.device), user)
        told = DeviceCredential(device_id=device_id, transport=transport, secret=text)
    return MintedCredential(user.public_key, told)


def mqtt_client_id(token: str) -> str:
    """Return the MQTT client id that belongs to a token.

    It follows from the token, which is secret, so that it is bound to the credential and nothing needs to be kept: a
    credential file from before it named a client id has one too.
    """
    digest = hashlib.sha256(b"k1 mqtt client id\0" + token.encode()).digest()
    return base64.b32encode(digest).decode().lower()[:_CLIENT_ID_LENGTH]
