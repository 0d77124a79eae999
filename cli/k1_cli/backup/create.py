"""Makes a backup in which all stores fit together.

Copies that are made one after the other do not: consumers need the bus to be behind the database, outboxes need it to be
ahead. So changes are refused for a short time, accepted events are handled to the end, and no outbox is published while
the bus and then PostgreSQL are copied. MongoDB and the object store come last, with changes allowed again: what is
added there meanwhile does no harm, and nothing is removed.
"""

import asyncio
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import asyncpg
from nats.aio.client import Client

from k1_cli.backup import bus, database, documents, objects
from k1_cli.backup.drain import drain
from k1_cli.backup.manifest import FORMAT, BackupFolder, Counts, Manifest
from k1_cli.backup.stores import DEVICES, Stores
from k1_cli.errors import CommandError
from k1_cli.stack.nats_client import connect_nats
from k1_platform.nats.maintenance_mode import MaintenanceLostError, MaintenanceRunningError, maintenance
from k1_platform.processes.threads import in_thread

Printer = Callable[[str], None]


def make_backup(stores: Stores, folder: Path, *, wait_s: float, say: Printer) -> Manifest:
    """Write a backup into a new folder; `wait_s` limits how long changes are refused before anything is copied.

    Raises:
        CommandError: a store does not answer, events wait too long, or the folder cannot be used.
    """
    backup = BackupFolder(folder.expanduser().resolve())
    backup.create()
    os.umask(0o077)
    try:
        return asyncio.run(_copy_all(stores, backup, wait_s=wait_s, say=say))
    except MaintenanceRunningError:
        raise CommandError(
            "another backup is being made; wait for its end, or half a minute after it was killed"
        ) from None
    except MaintenanceLostError:
        raise CommandError(
            "the NATS server was restarted during the backup, so its copies may not fit together; repeat it"
        ) from None


async def _copy_all(stores: Stores, backup: BackupFolder, *, wait_s: float, say: Printer) -> Manifest:
    async with connect_nats(stores.bus) as client:
        return await _copy(client, stores, backup, wait_s=wait_s, say=say)


async def _copy(
    client: Client, stores: Stores, backup: BackupFolder, *, wait_s: float, say: Printer
) -> Manifest:
    begun, jetstream = time.monotonic(), client.jetstream(timeout=30)
    _copy_keys(stores, backup.keys)
    say("keys copied; changes are refused from now on")
    refused_at = time.monotonic()
    async with maintenance(jetstream) as control:
        await drain(client, stores.postgres_dsn, wait_s)
        await control.enter("frozen")
        streams = {
            name: await bus.save_stream(client, name, backup.bus) for name in await bus.list_streams(client)
        }
        say(f"bus: {len(streams)} streams and buckets, {sum(streams.values()):,} messages")
        await in_thread(database.save_database, stores.postgres_dsn, backup.database)
        say(f"PostgreSQL: {backup.database.stat().st_size / 1e6:.1f} MB")
        await control.enter("copying")
        refused_s = time.monotonic() - refused_at
        say(f"changes are accepted again after {refused_s:.1f} s")
        found = await in_thread(documents.save_documents, stores.mongo, backup.documents)
        say(f"MongoDB: {sum(found.values()):,} documents")
        count = await in_thread(objects.save_objects, stores.objects, backup.objects)
        say(f"object store: {count:,} objects")
        await control.require_phase()
    say("computing checksums")
    manifest = Manifest(
        format=FORMAT,
        created_at=datetime.now(UTC),
        k1_version=version("k1-cli"),
        nats_version=bus.server_version(client),
        postgres_version=await _postgres_version(stores.postgres_dsn),
        changes_refused_s=round(refused_s, 2),
        took_s=round(time.monotonic() - begun, 2),
        counts=Counts(streams=streams, documents=found, objects=count),
        files=await in_thread(backup.list_files),
    )
    backup.write_manifest(manifest)
    return manifest


def _copy_keys(stores: Stores, folder: Path) -> None:
    for name, source in stores.keys.items():
        files = [source] if source.is_file() else sorted(source.rglob("*"))
        for file in files:
            inside = file.relative_to(source)
            if file.is_file() and not (name == DEVICES and len(inside.parts) > 1):
                target = folder / name / inside
                target.parent.mkdir(parents=True, exist_ok=True)
                with suppress(FileNotFoundError):  # a message in the mailbox was renamed at this moment
                    shutil.copy2(file, target)


async def _postgres_version(dsn: str) -> str:
    connection = await asyncpg.connect(dsn)
    try:
        return str(await connection.fetchval("SHOW server_version"))
    finally:
        await connection.close()
