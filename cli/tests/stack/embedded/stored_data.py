"""Writes data to each server of an embedded stack, and reads it again."""

import asyncio
import io
from typing import Any

import asyncpg
from minio import Minio
from nats.js.api import StreamConfig
from pymongo import MongoClient

from k1_cli.stack.embedded.embedded_stack import EmbeddedStack
from k1_platform.settings import NatsSettings
from tests.support.bus import connected_client

NAMES = ("nats", "postgres", "mongo", "s3")


def s3(stack: EmbeddedStack) -> Minio:
    urls = stack.urls
    host = urls.s3_url.removeprefix("http://")
    return Minio(host, access_key=urls.s3_access_key, secret_key=urls.s3_secret_key, secure=False)


def write_s3(stack: EmbeddedStack) -> None:
    client = s3(stack)
    if "kept" not in {bucket.name for bucket in client.list_buckets()}:
        client.make_bucket("kept")
    client.put_object("kept", "a/b.txt", io.BytesIO(b"kept"), 4)


def read_s3(stack: EmbeddedStack) -> bytes:
    return s3(stack).get_object("kept", "a/b.txt").read()


def write_mongo(stack: EmbeddedStack) -> None:
    with MongoClient[dict[str, object]](stack.urls.mongo_url) as client:
        client.get_default_database()["maps"].insert_one({"_id": "m1", "v": b"kept"})


def read_mongo(stack: EmbeddedStack) -> object:
    with MongoClient[dict[str, object]](stack.urls.mongo_url) as client:
        found = client.get_default_database()["maps"].find_one({"_id": "m1"})
        return found["v"] if found else None


async def sql(stack: EmbeddedStack, *statements: str) -> Any:
    connection = await asyncpg.connect(stack.urls.postgres_dsn)
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        return await connection.fetchval(statements[-1])
    finally:
        await connection.close()


def write_postgres(stack: EmbeddedStack) -> None:
    asyncio.run(sql(stack, "CREATE TABLE IF NOT EXISTS kept (v bytea)", "INSERT INTO kept VALUES ('kept')"))


def read_postgres(stack: EmbeddedStack) -> object:
    return asyncio.run(sql(stack, "SELECT v FROM kept LIMIT 1"))


def settings(stack: EmbeddedStack) -> NatsSettings:
    return NatsSettings.of(stack.urls.environment())


async def publish(stack: EmbeddedStack, body: bytes) -> int:
    async with connected_client(settings(stack)) as client:
        stream = client.jetstream(timeout=60)
        await stream.add_stream(StreamConfig(name="KEPT", subjects=["kept"]))
        return (await stream.publish("kept", body)).seq


async def last_message(stack: EmbeddedStack) -> bytes | None:
    async with connected_client(settings(stack)) as client:
        return (await client.jetstream(timeout=60).get_last_msg("KEPT", "kept")).data


def write_nats(stack: EmbeddedStack) -> None:
    asyncio.run(publish(stack, b"kept"))


def read_nats(stack: EmbeddedStack) -> object:
    return asyncio.run(last_message(stack))


WRITERS = {"nats": write_nats, "postgres": write_postgres, "mongo": write_mongo, "s3": write_s3}
READERS = {"nats": read_nats, "postgres": read_postgres, "mongo": read_mongo, "s3": read_s3}
