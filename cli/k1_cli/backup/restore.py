"""Restores a backup: into a new home with embedded servers, or into empty servers that the environment names."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import asyncpg
from nats.aio.client import Client

from k1_cli.backup import bus, database, documents, objects
from k1_cli.backup.manifest import BackupFolder, Manifest
from k1_cli.backup.stores import Stores
from k1_cli.errors import CommandError
from k1_cli.output.hints import k1_command
from k1_cli.stack.embedded.embedded_stack import EmbeddedStack
from k1_cli.stack.embedded.home import Home
from k1_cli.stack.nats_client import connect_nats
from k1_platform.processes.threads import in_thread
from k1_platform.storage.objects import ObjectStore

Printer = Callable[[str], None]
_TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"


def verified(folder: Path) -> tuple[BackupFolder, Manifest]:
    """Return a backup after comparing every file with the manifest.

    Raises:
        CommandError: it is incomplete, damaged, or of another release.
    """
    backup = BackupFolder(folder.expanduser().resolve())
    manifest = backup.read_manifest()
    backup.verify(manifest)
    return backup, manifest


def restore_home(folder: Path, home: Path, *, overwrite: bool, say: Printer) -> Manifest:
    """Restore into a home on which no stack runs. It appears when everything is restored; a failure leaves none.

    Raises:
        CommandError: the backup cannot be used, or the home must not be replaced.
    """
    place = Home(home)
    if place.is_locked():
        raise CommandError(f"a stack runs on {place.root}; stop it with {k1_command('down', home)}")
    if place.root.exists() and any(place.root.iterdir()) and not overwrite:
        raise CommandError(
            f"{place.root} is not empty; name another home with --home, or replace it for good with --overwrite"
        )
    backup, manifest = verified(folder)
    say(f"verified {len(manifest.files):,} files, {manifest.total_bytes / 1e6:,.1f} MB")
    draft = Home(place.root.with_name(f"{place.root.name}.restoring"))
    shutil.rmtree(draft.root, ignore_errors=True)
    try:
        draft.create()
        shutil.copytree(backup.keys, draft.root, dirs_exist_ok=True)
        with EmbeddedStack(draft.root) as stack:
            stores = Stores.of_home(draft, stack.urls.environment())
            asyncio.run(_load(backup, manifest, stores, say))
        # Again: the servers took other ports where these were in use, but devices know these.
        shutil.copytree(backup.keys, draft.root, dirs_exist_ok=True)
        if place.root.exists():
            shutil.rmtree(place.root)
        draft.root.rename(place.root)
    except BaseException:
        shutil.rmtree(draft.root, ignore_errors=True)
        raise
    return manifest


def restore_servers(folder: Path, stores: Stores, *, say: Printer) -> Manifest:
    """Restore into the servers of the environment, which must be empty; they need the keys of the backup to start.

    Raises:
        CommandError: the backup cannot be used, or a server is not empty.
    """
    backup, manifest = verified(folder)
    say(f"verified {len(manifest.files):,} files, {manifest.total_bytes / 1e6:,.1f} MB")
    asyncio.run(_load(backup, manifest, stores, say))
    return manifest


async def _load(backup: BackupFolder, manifest: Manifest, stores: Stores, say: Printer) -> None:
    async with connect_nats(stores.bus) as client:
        await _require_empty(client, stores, manifest)
        streams = {
            name: await bus.load_stream(client, name, backup.bus) for name in sorted(manifest.counts.streams)
        }
    say(f"bus: {len(streams)} streams and buckets, {sum(streams.values()):,} messages")
    await in_thread(database.load_database, stores.postgres_dsn, backup.database)
    say("PostgreSQL restored")
    found = await in_thread(documents.load_documents, stores.mongo, backup.documents)
    say(f"MongoDB: {sum(found.values()):,} documents")
    store = ObjectStore(stores.objects)
    try:
        await store.ensure_bucket()
    finally:
        store.close()
    count = await in_thread(objects.load_objects, stores.objects, backup.objects)
    say(f"object store: {count:,} objects")
    # Not the messages: those whose time has passed meanwhile are gone.
    expected, restored = (manifest.counts.documents, manifest.counts.objects), (found, count)
    if restored != expected:
        raise CommandError(
            f"documents and objects are {restored} after the restore, not {expected}; repeat it"
        )


async def _require_empty(client: Client, stores: Stores, manifest: Manifest) -> None:
    """Raise CommandError unless the servers are empty and can read the archives."""
    if _minor(bus.server_version(client)) < _minor(manifest.nats_version):
        raise CommandError(
            f"the archives are of NATS {manifest.nats_version} and the server is {bus.server_version(client)}, "
            "which cannot read them; use a server that is at least as new"
        )
    if there := set(await bus.list_streams(client)) & manifest.counts.streams.keys():
        raise CommandError(f"the NATS server has the stream {min(there)} already; restore into an empty one")
    connection = await asyncpg.connect(stores.postgres_dsn)
    try:
        if await connection.fetchval(_TABLES):
            raise CommandError("the PostgreSQL database has tables already; restore into an empty one")
    finally:
        await connection.close()
    if await in_thread(documents.count_documents, stores.mongo):
        raise CommandError("the MongoDB database has documents already; restore into an empty one")
    if await in_thread(objects.has_objects, stores.objects):
        raise CommandError("the bucket has objects already; restore into an empty one")


def _minor(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2])
