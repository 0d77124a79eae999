"""Adding and revoking devices: asked of deploy over the bus, never over HTTP, as credentials are secrets."""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pydantic import ValidationError

from k1_cli.bus import ask, connect_client
from k1_cli.errors import CommandError
from k1_contracts import subjects
from k1_contracts.messages.device_link import Transport
from k1_contracts.messages.devices import (
    AddDevices,
    DeviceCredential,
    DevicesAdded,
    DeviceServers,
    DevicesRevoked,
    RevokeDevices,
)
from k1_platform.secret_files import write_whole
from k1_platform.settings import NatsSettings

TRUSTED_KEYS = "trusted-keys.json"
SERVERS = "server.json"
CA = "ca.pem"
ENDINGS: Final[dict[Transport, str]] = {"nats": ".creds", "mqtt": ".mqtt.json"}
"""What the name of a device's credential file ends with, after its id."""
_AT_ONCE = 100
"""Credentials in one answer: they are a kilobyte each."""
_LEAST_DIGITS = 2


def numbered(prefix: str, count: int) -> list[str]:
    """`k1-01`, `k1-02` ...: as many digits as the last one needs, at least two."""
    digits = max(_LEAST_DIGITS, len(str(count)))
    return [f"{prefix}{number:0{digits}}" for number in range(1, count + 1)]


def portions(device_ids: Sequence[str], *, mqtt: bool, group: str | None, renew: bool) -> list[AddDevices]:
    """What to ask for these devices, a hundred at a time.

    Raises:
        CommandError: an id or the group is none.
    """
    transport = "mqtt" if mqtt else "nats"
    try:
        return [
            AddDevices(device_ids=some, transport=transport, group=group, renew=renew)
            for some in _slices(device_ids)
        ]
    except ValidationError as error:
        wrong = error.errors()[0]["input"]
        raise CommandError(f"{wrong} is no name of a device or group: 1 to 40 of A-Z a-z 0-9 - _") from error


def add_devices(
    settings: NatsSettings, wanted: Sequence[AddDevices], keep: Callable[[DevicesAdded], None]
) -> None:
    """One credential for each device; `keep` gets each portion at once, as there is no other copy.

    Raises:
        CommandError: deploy's own sentence; what `keep` got before stays valid.
    """

    async def add() -> None:
        async with connect_client(settings) as client:
            for part in wanted:
                keep(await ask(client, subjects.RPC_DEVICE_ADD, part, DevicesAdded))

    asyncio.run(add())


def revoke_devices(settings: NatsSettings, device_ids: Sequence[str]) -> list[str]:
    """Take the credentials of these devices away; whoever is connected with one is cut off at once.

    Raises:
        CommandError: an id is none, or deploy's own sentence.
    """
    try:
        question = RevokeDevices(device_ids=list(device_ids))
    except ValidationError as error:
        raise CommandError(f"{error.errors()[0]['input']} is no id of a device") from error

    async def revoke() -> list[str]:
        async with connect_client(settings) as client:
            return (await ask(client, subjects.RPC_DEVICE_REVOKE, question, DevicesRevoked)).device_ids

    return asyncio.run(revoke())


def make_folder(folder: Path) -> None:
    """A folder for secrets, made before there are any: a credential that cannot be written is lost.

    Raises:
        CommandError: it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(folder / ".writable", "")
        (folder / ".writable").unlink()
    except OSError as error:
        raise CommandError(f"cannot write to {folder}: {error.strerror}; nothing was added") from error


def write_credentials(added: DevicesAdded, folder: Path) -> list[Path]:
    """Write a file a device, mode 600, and what all of them need; return the devices' paths.

    Beside them: the keys that bundles are signed with, where the servers are, and their CA where there is one.
    """
    servers = added.servers or DeviceServers()
    texts = {name: text for credential in added.credentials for name, text in [file_of(credential, servers)]}
    shared = {TRUSTED_KEYS: added.trusted_keys, SERVERS: servers.model_dump_json(indent=2) + "\n"}
    if servers.ca is not None:
        shared[CA] = servers.ca
    for name, text in {**shared, **texts}.items():
        write_whole(folder / name, text)
    return [folder / name for name in texts]


def file_of(credential: DeviceCredential, servers: DeviceServers) -> tuple[str, str]:
    """Return the name and the text of a device's file.

    NATS: `<id>.creds`, as NATS clients read it, with the address in comments. MQTT: `<id>.mqtt.json`.
    """
    name = f"{credential.device_id}{ENDINGS[credential.transport]}"
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
    """Return lines for a person, which NATS clients skip."""
    if servers.nats_url is None:
        return ""
    ca = (
        f"# Its certificate leads back to the CA in {CA}, which lies beside this file.\n"
        if servers.ca
        else ""
    )
    return f"\n# The server is {servers.nats_url}\n{ca}"


def _slices(device_ids: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(device_ids), _AT_ONCE):
        yield list(device_ids[start : start + _AT_ONCE])
