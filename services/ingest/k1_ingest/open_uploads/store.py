"""Stores in a NATS key-value bucket what is known of uploads that are not complete, with compare-and-set.

Every process of ingest sees the same records, so any of them can go on with an upload.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Generic, Self, TypeVar

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import BadRequestError, KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from k1_contracts import streams
from k1_contracts.base import Contract
from k1_platform.errors import TransientError
from k1_platform.nats.jetstream_api import purge_key

OBJECTS: Final = "uploads/"
"""The prefix of the objects of open uploads; the id of the upload follows."""
R = TypeVar("R", bound=Contract)


@dataclass(frozen=True, slots=True)
class Found(Generic[R]):
    """A record and the revision at which it was read."""

    record: R
    revision: int


@dataclass(frozen=True, slots=True)
class OpenUploads:
    """The bucket OPEN_UPLOADS. Every method raises TransientError when it cannot be reached."""

    jetstream: JetStreamContext
    bucket: KeyValue

    @classmethod
    async def open(cls, jetstream: JetStreamContext) -> Self:
        """Open the provisioned bucket."""
        return cls(jetstream, await jetstream.key_value(streams.OPEN_UPLOADS.name))

    async def check(self) -> None:
        """Raise unless the bucket exists; for readiness."""
        with _transient_when_unreachable():
            await self.bucket.status()

    async def find(self, upload_id: str, model: type[R]) -> Found[R] | None:
        """Return the record of an upload."""
        with _transient_when_unreachable():
            try:
                entry = await self.bucket.get(upload_id)
            except KeyNotFoundError:
                return None
        return Found(model.model_validate_json(entry.value or b""), entry.revision or 0)

    async def create(self, upload_id: str, record: Contract) -> None:
        """Add a record under a new id."""
        with _transient_when_unreachable():
            await self.bucket.create(upload_id, record.to_json())

    async def replace(self, upload_id: str, found: Found[R], record: R) -> Found[R] | None:
        """Write a record in place of the one that was read; return None when another process changed it meanwhile."""
        with _transient_when_unreachable():
            try:
                revision = await self.bucket.update(upload_id, record.to_json(), last=found.revision)
            except (BadRequestError, KeyWrongLastSequenceError):
                return None
        return Found(record, revision)

    async def remove(self, upload_id: str) -> None:
        """Remove a record, without a delete marker."""
        with _transient_when_unreachable():
            await purge_key(self.jetstream, streams.OPEN_UPLOADS.name, upload_id)

    async def list_ids(self) -> list[str]:
        """Return the ids of all open uploads."""
        found: list[str] = []
        with _transient_when_unreachable():
            watcher = await self.bucket.watchall(ignore_deletes=True, meta_only=True)
            try:
                while isinstance(entry := await watcher.updates(), KeyValue.Entry):
                    found.append(entry.key)
            finally:
                await watcher.stop()
        return found


@contextmanager
def _transient_when_unreachable() -> Generator[None]:
    try:
        yield
    except (NatsError, TimeoutError, OSError) as error:
        raise TransientError(f"the broker's key-value store did not answer: {error!r}") from error
