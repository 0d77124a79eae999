"""Reads the files that `k1 devices add` wrote, for the simulated devices of this machine or of another."""

import json
from pathlib import Path

from pydantic import ValidationError

from k1_cli.errors import CommandError
from k1_cli.hints import k1_command
from k1_cli.provisioning import ENDINGS, SERVERS, TRUSTED_KEYS
from k1_contracts.messages.device_link import Transport
from k1_contracts.messages.devices import DeviceCredential, DeviceServers
from k1_platform.nats_jwt import parse_credentials
from k1_simulator.identity import Identity


def credential_file(folder: Path, device_id: str, transport: Transport) -> Path:
    """Return where the credential of a device is kept."""
    return folder / f"{device_id}{ENDINGS[transport]}"


def read_identity(folder: Path, device_id: str, transport: Transport) -> Identity:
    """Return a device's credential and the keys that it trusts.

    Raises:
        CommandError: a file is missing or is not what `k1 devices add` wrote.
    """
    trusted = folder / TRUSTED_KEYS
    try:
        trusted_keys = trusted.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise CommandError(
            f"{trusted} cannot be read; {k1_command('devices add --out FOLDER')} writes it"
        ) from error
    file = credential_file(folder, device_id, transport)
    try:
        credential = _parse(file.read_text(encoding="utf-8"), device_id, transport)
    except (OSError, ValueError, KeyError, TypeError) as error:
        makes = k1_command(f"devices add --renew {device_id}")
        raise CommandError(f"{file} is no credential; {makes} makes a new one") from error
    return Identity(device_id=device_id, credential=credential, trusted_keys=trusted_keys)


def found_identities(folder: Path) -> list[Identity]:
    """Return the devices whose credentials are in the folder.

    Raises:
        CommandError: there is none, or one cannot be read.
    """
    found = [
        read_identity(folder, file.name.removesuffix(ending), transport)
        for transport, ending in ENDINGS.items()
        for file in sorted(folder.glob(f"*{ending}"))
    ]
    if not found:
        raise CommandError(
            f"{folder} holds no credentials; {k1_command('devices add --out FOLDER')} writes them"
        )
    return found


def found_servers(folder: Path) -> DeviceServers:
    """Return where the devices of the folder connect.

    Raises:
        CommandError: the file that says so is missing or wrong.
    """
    try:
        return DeviceServers.model_validate_json((folder / SERVERS).read_bytes())
    except (OSError, ValidationError) as error:
        raise CommandError(
            f"{folder / SERVERS} does not say where the servers are; {k1_command('devices add')} writes it"
        ) from error


def _parse(text: str, device_id: str, transport: Transport) -> DeviceCredential:
    if transport == "nats":
        parse_credentials(text)
        return DeviceCredential(device_id=device_id, transport=transport, secret=text)
    kept = json.loads(text)
    return DeviceCredential(
        device_id=device_id,
        transport=transport,
        user=kept["user"],
        secret=kept["password"],
        client_id=kept.get("client_id"),
    )
