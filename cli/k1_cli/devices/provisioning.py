"""Adds and revokes devices and writes their credential files.

Requests go to deploy over NATS and never over HTTP, because credentials are secrets.
"""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pydantic import ValidationError

from k1_cli.errors import CommandError
from k1_cli.stack.nats_client import connect_nats, request
from k1_contracts.messages.deploy.device_link import Transport
from k1_contracts.messages.deploy.devices import (
    DEVICE_ADD,
    DEVICE_REVOKE,
    AddDevices,
    DeviceCredential,
    DevicesAdded,
    DeviceServers,
    RevokeDevices,
)
from k1_platform.auth.secret_files import write_atomically
from k1_platform.settings import NatsSettings

TRUSTED_KEYS_FILE = "trusted-keys.json"
SERVERS_FILE = "server.json"
CA_FILE = "ca.pem"
CREDENTIAL_SUFFIXES: Final[dict[Transport, str]] = {"nats": ".creds", "mqtt": ".mqtt.json"}
"""The suffix of a credential file after the id of the device, by transport."""
_BATCH_SIZE = 100
"""The number of credentials in one response; each takes about a kilobyte."""
_MIN_DIGITS = 2


def numbered_ids(prefix: str, count: int) -> list[str]:
    """Return ids such as `k1-01`, `k1-02`, with as many digits as the last one needs, at least two."""
    digits = max(_MIN_DIGITS, len(str(count)))
    return [f"{prefix}{number:0{digits}}" for number in range(1, count + 1)]


def build_requests(
    device_ids: Sequence[str], *, mqtt: bool, group: str | None, renew: bool
) -> list[AddDevices]:
    """Return the requests that add these devices, up to a hundred in each.

    Raises:
        CommandError: an id or the group has a wrong format.
    """
    transport = "mqtt" if mqtt else "nats"
    try:
        return [
            AddDevices(device_ids=ids, transport=transport, group=group, renew=renew)
            for ids in _slices(device_ids)
        ]
    except ValidationError as error:
        wrong = error.errors()[0]["input"]
        raise CommandError(f"{wrong} is no name of a device or group: 1 to 40 of A-Z a-z 0-9 - _") from error


def add_devices(
    settings: NatsSettings, requests: Sequence[AddDevices], on_added: Callable[[DevicesAdded], None]
) -> None:
    """Add devices; `on_added` gets the credentials of each request at once, because there is no other copy.

    Raises:
        CommandError: deploy refused, with deploy's sentence; what `on_added` got before stays valid.
    """

    async def add() -> None:
        async with connect_nats(settings) as client:
            for each in requests:
                on_added(await request(client, DEVICE_ADD, each))

    asyncio.run(add())


def revoke_devices(settings: NatsSettings, device_ids: Sequence[str]) -> list[str]:
    """Revoke the credentials of these devices and return their ids; connected devices are disconnected at once.

    Raises:
        CommandError: an id has a wrong format, or deploy refused, with deploy's sentence.
    """
    try:
        query = RevokeDevices(device_ids=list(device_ids))
    except ValidationError as error:
        raise CommandError(f"{error.errors()[0]['input']} is no id of a device") from error

    async def revoke() -> list[str]:
        async with connect_nats(settings) as client:
            return (await request(client, DEVICE_REVOKE, query)).device_ids

    return asyncio.run(revoke())


def create_secret_folder(folder: Path) -> None:
    """Create a folder for secrets and check that it can be written to.

    Call it before a request: a credential that cannot be written is lost.

    Raises:
        CommandError: the folder cannot be created or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(folder / ".writable", "")
        (folder / ".writable").unlink()
    except OSError as error:
        raise CommandError(f"cannot write to {folder}: {error.strerror}; nothing was added") from error


def write_credentials(added: DevicesAdded, folder: Path) -> list[Path]:
    """Write one file per device, mode 600, and the files that all devices need; return the paths of the devices' files.

    The shared files are the keys that sign bundles, the addresses of the servers, and their CA where there is one.
    """
    servers = added.servers or DeviceServers()
    texts = {
        name: text
        for credential in added.credentials
        for name, text in [credential_document(credential, servers)]
    }
    shared = {TRUSTED_KEYS_FILE: added.trusted_keys, SERVERS_FILE: servers.model_dump_json(indent=2) + "\n"}
    if servers.ca is not None:
        shared[CA_FILE] = servers.ca
    for name, text in {**shared, **texts}.items():
        write_atomically(folder / name, text)
    return [folder / name for name in texts]


def credential_document(credential: DeviceCredential, servers: DeviceServers) -> tuple[str, str]:
    """Return the name and the text of a device's credential file.

    For NATS `<id>.creds` in the format of NATS clients, with the address in comments; for MQTT `<id>.mqtt.json`.
    """
    name = f"{credential.device_id}{CREDENTIAL_SUFFIXES[credential.transport]}"
    if credential.transport == "nats":
        return name, credential.secret + _comments(servers)
    place = urlsplit(servers.mqtt_url or "")
    document = {
        "client_id": credential.client_id,
        "user": credential.user or credential.device_id,
        "password": credential.secret,
        "host": place.hostname,
        "port": place.port,
        "tls": place.scheme == "mqtts",
        "ca": servers.ca,
    }
    return name, json.dumps(document, indent=2) + "\n"


def _comments(servers: DeviceServers) -> str:
    """Return comment lines for a person; NATS clients skip them."""
    if servers.nats_url is None:
        return ""
    ca = (
        f"# Its certificate leads back to the CA in {CA_FILE}, which lies beside this file.\n"
        if servers.ca
        else ""
    )
    return f"\n# The server is {servers.nats_url}\n{ca}"


def _slices(device_ids: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(device_ids), _BATCH_SIZE):
        yield list(device_ids[start : start + _BATCH_SIZE])
