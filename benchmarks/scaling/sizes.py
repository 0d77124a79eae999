"""Prints the sizes of what a running stack has stored: messages, entries, documents, rows and objects.

`.venv/bin/python -m benchmarks.scaling.sizes HOME`, after songs were analysed and deployed on it. The calculation in
docs/scaling.md starts from these figures. A message counts with what the file store of NATS keeps for it: subject,
headers, body and 30 bytes, 34 with headers.
"""

import asyncio
import base64
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from statistics import mean
from typing import Any, Final

import asyncpg
import bson
import nats
import pymongo
from nats.aio.client import Client
from pydantic import SecretStr

from k1_cli.stack.running_stack import require_stack
from k1_contracts.streams import BUCKETS, STREAMS
from k1_platform.nats.bus.connection import connect_options
from k1_platform.settings import NatsSettings, ObjectStoreSettings
from k1_platform.storage.objects import ObjectStore

_IDS: Final = re.compile(r"\b(?:[a-z]{3}_[0-9A-Za-z]{20,}|[0-9a-f]{32,}|(?:demo|k1-sim)-\d+)\b")
_OVERHEAD: Final = 30
_OVERHEAD_OF_HEADERS: Final = 4
_SIZE_OF_ROWS: Final = 'SELECT count(*), coalesce(avg(pg_column_size(t.*)), 0) FROM "{}"."{}" t'
_TABLES: Final = """
    SELECT schemaname, relname, n_tup_ins, n_tup_upd, n_tup_del, pg_total_relation_size(relid) AS bytes
    FROM pg_stat_user_tables WHERE n_tup_ins > 0 ORDER BY 1, 2
"""


def print_table(title: str, sizes: Mapping[str, list[int]]) -> None:
    """Print how many there are of each kind, and how large one is."""
    print(f"\n{title:<48} {'count':>7} {'mean':>10} {'max':>10} {'sum':>12}")
    for name in sorted(sizes):
        each = sizes[name]
        print(f"{name:<48} {len(each):>7} {mean(each):>10.0f} {max(each):>10} {sum(each):>12}")


def grouped(found: Iterable[tuple[str, int]]) -> dict[str, list[int]]:
    """Return the sizes by the name without its ids."""
    sizes: dict[str, list[int]] = defaultdict(list)
    for name, size in found:
        sizes[_IDS.sub("*", name)].append(size)
    return sizes


async def stored_messages(client: Client, stream: str) -> list[tuple[str, int]]:
    """Return subject and stored size of each message of a stream."""
    found: list[tuple[str, int]] = []
    state = json.loads((await client.request(f"$JS.API.STREAM.INFO.{stream}", b"")).data).get("state", {})
    for sequence in range(state.get("first_seq", 1), state.get("last_seq", 0) + 1):
        query = json.dumps({"seq": sequence}).encode()
        answer: dict[str, Any] = json.loads(
            (await client.request(f"$JS.API.STREAM.MSG.GET.{stream}", query)).data
        )
        if message := answer.get("message"):
            headers = base64.b64decode(message.get("hdrs", ""))
            body = base64.b64decode(message.get("data", ""))
            overhead = _OVERHEAD + (_OVERHEAD_OF_HEADERS if headers else 0)
            found.append((message["subject"], len(message["subject"]) + len(headers) + len(body) + overhead))
    return found


async def last_sequence(client: Client, stream: str) -> int:
    """Return how many messages were ever stored."""
    info = json.loads((await client.request(f"$JS.API.STREAM.INFO.{stream}", b"")).data)
    return info.get("state", {}).get("last_seq", 0)


async def print_bus(settings: NatsSettings) -> None:
    """Print the messages of the streams by subject, and the entries of the buckets."""
    client = await nats.connect(**connect_options(settings))
    for stream in STREAMS:
        print_table(f"stream {stream.name}", grouped(await stored_messages(client, stream.name)))
    entries = [
        (bucket.name, size) for bucket in BUCKETS for _, size in await stored_messages(client, bucket.stream)
    ]
    print_table("buckets", grouped(entries))
    writes = {each.name: await last_sequence(client, each.stream) for each in BUCKETS}
    print("\nwrites to the buckets:", ", ".join(f"{name} {count}" for name, count in writes.items() if count))
    await client.close()


async def print_postgres(dsn: str) -> None:
    """Print rows and their size by table, with what was written since the start of the server."""
    connection = await asyncpg.connect(dsn)
    print(
        f"\n{'table':<48} {'rows':>7} {'mean':>10} {'inserts':>8} {'updates':>8} {'deletes':>8} {'bytes':>10}"
    )
    for schema, table, inserts, updates, deletes, size in await connection.fetch(_TABLES):
        rows, average = await connection.fetchrow(_SIZE_OF_ROWS.format(schema, table))
        name = f"{schema}.{table}"
        print(f"{name:<48} {rows:>7} {average:>10.0f} {inserts:>8} {updates:>8} {deletes:>8} {size:>10}")
    await connection.close()


def documents(url: str) -> Iterator[tuple[str, int]]:
    """Yield collection and size of each document."""
    with pymongo.MongoClient[dict[str, Any]](url) as client:
        database = client.get_default_database()
        for name in database.list_collection_names():
            for document in database[name].find():
                yield name, len(bson.encode(document))


async def objects(environment: Mapping[str, str]) -> list[tuple[str, int]]:
    """Return key and size of each object."""
    settings = ObjectStoreSettings(
        url=environment["K1_S3_URL"],
        public_url=None,
        bucket=environment["K1_S3_BUCKET"],
        access_key=SecretStr(environment["K1_S3_ACCESS_KEY"]),
        secret_key=SecretStr(environment["K1_S3_SECRET_KEY"]),
    )
    store = ObjectStore(settings)
    found = [(each.key, each.size_bytes) async for batch in store.batches("") for each in batch]
    store.close()
    return found


if __name__ == "__main__":
    running = require_stack(Path(sys.argv[1]))
    asyncio.run(print_bus(running.bus))
    asyncio.run(print_postgres(running.environment["K1_POSTGRES_DSN"]))
    print_table("documents of MongoDB", grouped(documents(running.environment["K1_MONGO_URL"])))
    print_table("objects", grouped(asyncio.run(objects(running.environment))))
