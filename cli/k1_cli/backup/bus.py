"""Copies the streams of the bus with their messages and consumers; key-value buckets and object stores are streams too.

nats-py has no calls for `$JS.API.STREAM.SNAPSHOT` and `$JS.API.STREAM.RESTORE`.
"""

import asyncio
import json
from pathlib import Path
from typing import Any, Final

from nats.aio.client import Client
from nats.aio.msg import Msg

from k1_cli.errors import CommandError
from k1_contracts.streams import MAINTENANCE
from k1_platform.nats.jetstream_api import restore_subject, snapshot_subject

_ARCHIVE: Final = ".snapshot"
_CHUNK: Final = 128 * 1024
_TIMEOUT_S: Final = 30.0
_PATIENCE_S: Final = 120.0
"""For one chunk."""
_LEFT_OUT: Final = MAINTENANCE.stream


def server_version(client: Client) -> str:
    """Return the version of the connected server."""
    version = client.connected_server_version
    return f"{version.major}.{version.minor}.{version.patch}"


async def list_streams(client: Client) -> list[str]:
    """Return the streams to copy: all but those that NATS keeps for MQTT sessions, and the state of this backup."""
    found = await client.jetstream(timeout=_TIMEOUT_S).streams_info()
    names = sorted(info.config.name or "" for info in found)
    return [name for name in names if not name.startswith("$") and name != _LEFT_OUT]


async def save_stream(client: Client, stream: str, folder: Path) -> int:
    """Write the archive of a stream, with its configuration beside it; return the number of its messages."""
    inbox = client.new_inbox()
    chunks: asyncio.Queue[Msg] = asyncio.Queue()
    subscription = await client.subscribe(inbox, cb=chunks.put)
    try:
        request = {"deliver_subject": inbox, "no_consumers": False, "chunk_size": _CHUNK}
        description = await _call(client, snapshot_subject(stream), request)
        with (folder / f"{stream}{_ARCHIVE}").open("wb") as archive:
            while (chunk := await asyncio.wait_for(chunks.get(), _PATIENCE_S)).data:
                archive.write(chunk.data)
                if chunk.reply:  # the server waits for this after a few chunks
                    await client.publish(chunk.reply, b"")
    finally:
        await subscription.unsubscribe()
    if chunk.headers and chunk.headers.get("Status", "204") != "204":
        raise CommandError(f"NATS ended the copy of the stream {stream}: {dict(chunk.headers)}")
    kept = {"config": description["config"], "state": description["state"]}
    (folder / f"{stream}.json").write_text(json.dumps(kept))
    return int(description["state"]["messages"])


async def load_stream(client: Client, stream: str, folder: Path) -> int:
    """Restore a stream that does not exist from its archive; return the number of its messages.

    Until the server restarts it does not know the ids of the restored messages, so it does not drop repeated ones.

    Raises:
        CommandError: the server refuses the archive.
    """
    description = json.loads((folder / f"{stream}.json").read_text())
    begun = await _call(client, restore_subject(stream), description)
    subject: str = begun["deliver_subject"]
    with (folder / f"{stream}{_ARCHIVE}").open("rb") as archive:
        while chunk := archive.read(_CHUNK):
            await client.request(subject, chunk, timeout=_PATIENCE_S)
    restored = await _call(client, subject, None)
    return int(restored["state"]["messages"])


async def _call(client: Client, subject: str, body: dict[str, Any] | None) -> dict[str, Any]:
    """Return the response of the JetStream API.

    Raises:
        CommandError: it is an error.
    """
    data = b"" if body is None else json.dumps(body).encode()
    response: dict[str, Any] = json.loads((await client.request(subject, data, timeout=_PATIENCE_S)).data)
    if "error" in response:
        raise CommandError(f"NATS refuses {subject}: {response['error'].get('description')}")
    return response
