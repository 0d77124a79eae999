"""Reads and writes objects of the S3 object store; the blocking calls of the `minio` client run in threads."""

import asyncio
import io
import itertools
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, ParamSpec, TypeVar, cast
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.datatypes import Object
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from prometheus_client import CollectorRegistry
from typing_extensions import override

from k1_platform.auth.tls import client_context
from k1_platform.errors import TransientError
from k1_platform.processes.threads import in_executor
from k1_platform.settings import ObjectStoreSettings
from k1_platform.storage.metrics import ObjectMetrics
from k1_platform.storage.stream_adapter import StreamAdapter

PART_SIZE: Final = 5 * 1024 * 1024
"""The smallest part that S3 allows. An upload of unknown length holds one part in memory."""
BATCH: Final = 1000
"""Objects that the store lists in one response."""
_THREADS: Final = 16

_log = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")


class ObjectNotFoundError(Exception):
    """No object has this key."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """The metadata of an object."""

    key: str
    size_bytes: int
    content_type: str
    stored_at: datetime
    """When it was last written."""


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An object as the store lists it."""

    key: str
    size_bytes: int
    stored_at: datetime
    """When it was last written."""


class _XmlErrorsPool(urllib3.PoolManager):
    """Corrects the content type of errors: some S3 servers send text/xml, which minio does not accept as XML."""

    @override
    def urlopen(
        self, method: str, url: str, redirect: bool = True, **kwargs: Any
    ) -> urllib3.BaseHTTPResponse:
        response = super().urlopen(method, url, redirect=redirect, **kwargs)
        if response.headers.get("content-type", "").startswith("text/xml"):
            response.headers["content-type"] = "application/xml"
        return response


def _client(settings: ObjectStoreSettings, url: str) -> Minio:
    parts = urlsplit(url)
    return Minio(
        parts.netloc,
        access_key=settings.access_key.get_secret_value(),
        secret_key=settings.secret_key.get_secret_value(),
        secure=parts.scheme == "https",
        region=settings.region,
        http_client=_XmlErrorsPool(
            maxsize=_THREADS,
            ssl_context=client_context(settings.ca) if parts.scheme == "https" else None,
            timeout=urllib3.Timeout(connect=3, read=60),
            retries=urllib3.Retry(total=2, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]),
        ),
    )


def _stored_at(found: Object) -> datetime:
    """Return when an object was written; a store that does not say it has just written it."""
    return found.last_modified or datetime.now(UTC)


class ObjectStore:
    """Reads and writes the objects of one bucket. Every failure of the store is a TransientError."""

    def __init__(self, settings: ObjectStoreSettings, registry: CollectorRegistry | None = None) -> None:
        """Connect at the first call. `registry` is where the store is measured; by default in one of its own."""
        self._bucket = settings.bucket
        self._metrics = ObjectMetrics(registry or CollectorRegistry())
        self._minio = _client(settings, settings.url)
        # A signed URL is valid only for the host for which it was signed.
        self._signer = _client(settings, settings.public_url or settings.url)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="objects")

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def ensure_bucket(self) -> None:
        """Create the bucket if it does not exist."""

        def make_bucket() -> None:
            if not self._minio.bucket_exists(self._bucket):
                self._minio.make_bucket(self._bucket)

        await self._call(make_bucket)

    async def check(self) -> None:
        """Raise unless the bucket exists; a readiness check."""
        if not await self._call(self._minio.bucket_exists, self._bucket):
            raise TransientError(f"the bucket {self._bucket} does not exist; run k1_platform.provision")

    async def put_bytes(self, key: str, data: bytes, content_type: str) -> None:
        """Store `data` under `key`, replacing an existing object."""
        await self._call(
            self._minio.put_object,
            self._bucket,
            key,
            io.BytesIO(data),
            len(data),
            content_type=content_type,
        )
        self._metrics.add_bytes("sent", len(data))

    async def put_stream(self, key: str, chunks: AsyncIterator[bytes], content_type: str) -> None:
        """Store a stream of unknown length; at most one part and a few chunks are in memory.

        An exception raised by `chunks` stops the upload and is raised again; then no object is stored.
        """
        adapter = StreamAdapter(asyncio.get_running_loop())
        upload = asyncio.create_task(
            self._call(
                self._minio.put_object,
                self._bucket,
                key,
                cast("BinaryIO", adapter),  # minio only reads from it
                -1,
                content_type=content_type,
                part_size=PART_SIZE,
                num_parallel_uploads=1,  # each part that is being uploaded is held in memory
            )
        )
        upload.add_done_callback(lambda _: adapter.reader_ended())
        try:
            async for chunk in chunks:
                await adapter.put(chunk)
                self._metrics.add_bytes("sent", len(chunk))
                if upload.done():  # before the end: the store failed, so the rest is not needed
                    break
            await adapter.end()
        except BaseException as error:
            adapter.fail(error)
            await asyncio.gather(upload, return_exceptions=True)
            raise
        await upload

    async def get_bytes(self, key: str) -> bytes:
        """Return the whole object."""
        return await self.get_range(key, 0, 0)

    async def get_range(self, key: str, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset` on, fewer at the end of the object; a length of 0 means up to the end."""

        def get_object() -> bytes:
            response = self._minio.get_object(self._bucket, key, offset, length)
            try:
                return response.read()
            finally:
                response.close()
                response.release_conn()

        data = await self._call(get_object)
        self._metrics.add_bytes("received", len(data))
        return data

    async def get_file(self, key: str, path: Path) -> None:
        """Download an object to the file `path`."""

        def fget_object() -> int:
            self._minio.fget_object(self._bucket, key, str(path))
            return path.stat().st_size

        self._metrics.add_bytes("received", await self._call(fget_object))

    async def stat(self, key: str) -> ObjectInfo:
        """Return the size and content type of an object."""
        found = await self._call(self._minio.stat_object, self._bucket, key)
        return ObjectInfo(
            key, found.size or 0, found.content_type or "application/octet-stream", _stored_at(found)
        )

    async def exists(self, key: str) -> bool:
        """Return whether an object has this key."""
        try:
            await self.stat(key)
        except ObjectNotFoundError:
            return False
        return True

    async def delete(self, key: str) -> None:
        """Delete an object; a missing object is no error."""
        await self._call(self._minio.remove_object, self._bucket, key)

    def signed_url(
        self,
        key: str,
        *,
        method: Literal["GET", "PUT"] = "GET",
        expires: timedelta,
        internal: bool = False,
    ) -> str:
        """Return a URL that works without credentials until it expires; computed without a request.

        `internal`: for another service, at the address that services use.
        """
        signer = self._minio if internal else self._signer
        return signer.get_presigned_url(method, self._bucket, key, expires=expires)

    async def batches(self, prefix: str) -> AsyncIterator[list[ListedObject]]:
        """Yield the objects whose keys begin with `prefix`, in the order of their keys, at most BATCH at a time."""
        found = self._minio.list_objects(self._bucket, prefix=prefix, recursive=True)

        def list_objects() -> list[ListedObject]:
            return [
                ListedObject(each.object_name or "", each.size or 0, _stored_at(each))
                for each in itertools.islice(found, BATCH)
            ]

        while batch := await self._call(list_objects):
            yield batch

    async def _call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        with self._metrics.timed(function.__name__):
            return await self._run(function, *args, **kwargs)

    async def _run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await in_executor(self._threads, function, *args, **kwargs)
        except S3Error as error:
            if error.code in {"NoSuchKey", "NoSuchObject", "NotFound"}:
                raise ObjectNotFoundError(str(error.object_name)) from error
            raise TransientError(f"object store: {error.code}: {error.message}") from error
        except (
            InvalidResponseError,
            ServerError,
            MinioException,
            urllib3.exceptions.HTTPError,
            OSError,
        ) as error:
            raise TransientError(f"object store: {error!r}") from error
