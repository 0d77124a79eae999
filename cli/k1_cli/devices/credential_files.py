"""Reads the credential files that `k1 devices add` wrote, for simulated devices on this or another machine."""

import json
from pathlib import Path

from pydantic import ValidationError

from k1_cli.devices.provisioning import CREDENTIAL_SUFFIXES, SERVERS_FILE, TRUSTED_KEYS_FILE
from k1_cli.errors import CommandError
from k1_cli.output.hints import k1_command
from k1_contracts.messages.deploy.device_link import Transport
from k1_contracts.messages.deploy.devices import DeviceCredential, DeviceServers
from k1_platform.auth.jwt import parse_credentials
from k1_simulator.identity import Identity


def credential_path(folder: Path, device_id: str, transport: Transport) -> Path:
    """Return the path of a device's credential file."""
    return folder / f"{device_id}{CREDENTIAL_SUFFIXES[transport]}"


def read_identity(folder: Path, device_id: str, transport: Transport) -> Identity:
    """Return a device's credential and the keys that it trusts.

    Raises:
        CommandError: a file is missing or has another format than `k1 devices add` writes.
    """
    trusted = folder / TRUSTED_KEYS_FILE
    try:
        trusted_keys = trusted.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise CommandError(
            f"{trusted} cannot be read; {k1_command('devices add --out FOLDER')} writes it"
        ) from error
    file = credential_path(folder, device_id, transport)
    try:
        credential = _parse(file.read_text(encoding="utf-8"), device_id, transport)
    except (OSError, ValueError, KeyError, TypeError) as error:
        command = k1_command(f"devices add --renew {device_id}")
        raise CommandError(f"{file} is no credential; {command} makes a new one") from error
    return Identity(device_id=device_id, credential=credential, trusted_keys=trusted_keys)


def read_identities(folder: Path) -> list[Identity]:
    """Return the identities of all devices whose credentials are in the folder.

    Raises:
        CommandError: there is no credential, or one cannot be read.
    """
    found = [
        read_identity(folder, file.name.removesuffix(ending), transport)
        for transport, ending in CREDENTIAL_SUFFIXES.items()
        for file in sorted(folder.glob(f"*{ending}"))
    ]
    if not found:
        raise CommandError(
            f"{folder} holds no credentials; {k1_command('devices add --out FOLDER')} writes them"
        )
    return found


def read_servers(folder: Path) -> DeviceServers:
    """Return the addresses to which the devices of the folder connect.

    Raises:
        CommandError: the file with the addresses is missing or wrong.
    """
    try:
        return DeviceServers.model_validate_json((folder / SERVERS_FILE).read_bytes())
    except (OSError, ValidationError) as error:
        raise CommandError(
            f"{folder / SERVERS_FILE} does not say where the servers are; {k1_command('devices add')} writes it"
        ) from error


def _parse(text: str, device_id: str, transport: Transport) -> DeviceCredential:
    if transport == "nats":
        parse_credentials(text)
        return DeviceCredential(device_id=device_id, transport=transport, secret=text)
    document = json.loads(text)
    return DeviceCredential(
        device_id=device_id,
        transport=transport,
        user=document["user"],
        secret=document["password"],
        client_id=document.get("client_id"),
    )
