"""Stores in NATS key-value buckets which track has which bytes, and which objects are about to be stored."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal, Self

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import BadRequestError, KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from k1_contracts import streams
from k1_contracts.actors import Actor
from k1_contracts.base import Contract, UtcTime
from k1_contracts.messages.catalogue.tracks import TrackUploaded
from k1_platform.errors import TransientError
from k1_platform.nats.jetstream_api import purge_key

_PENDING: Final = "pending."


class Claim(Contract):
    """The track that has some audio bytes. The first upload of the bytes makes the claim, and it stays."""

    state: Literal["claimed", "announced"]
    """`announced`: the event was published."""
    event: TrackUploaded
    """The event, published exactly as it is stored here, so that a repetition has the same time and id."""
    idempotency: str | None = None
    """The hashed Idempotency-Key of the upload that made the track."""
    actor: Actor | None = None
    """Who uploaded it, for the envelope of the event, whenever that is published."""


class PendingObject(Contract):
    """An object that is about to be stored; the entry is removed when the event of its track was published."""

    sha256: str
    object_key: str
    since: UtcTime


@dataclass(frozen=True, slots=True)
class FoundClaim:
    """A claim and the revision at which it was read."""

    claim: Claim
    revision: int


@dataclass(frozen=True, slots=True)
class ClaimStore:
    """The buckets UPLOADS and IDEMPOTENCY. Every method raises TransientError when they cannot be reached."""

    jetstream: JetStreamContext
    uploads: KeyValue
    idempotency: KeyValue

    @classmethod
    async def open(cls, jetstream: JetStreamContext) -> Self:
        """Open the provisioned buckets."""
        uploads = await jetstream.key_value(streams.UPLOADS.name)
        return cls(jetstream, uploads, await jetstream.key_value(streams.IDEMPOTENCY.name))

    async def check(self) -> None:
        """Raise unless the buckets exist; for readiness."""
        with _transient_when_unreachable():
            await self.uploads.status()
            await self.idempotency.status()

    async def find(self, sha256: str) -> FoundClaim | None:
        """Return the claim on these bytes."""
        with _transient_when_unreachable():
            try:
                entry = await self.uploads.get(sha256)
            except KeyNotFoundError:
                return None
        return FoundClaim(Claim.model_validate_json(entry.value or b""), entry.revision or 0)

    async def claim(self, sha256: str, claim: Claim) -> Claim:
        """Claim the bytes; return the claim that holds, which is another one when another upload was first."""
        with _transient_when_unreachable():
            try:
                await self.uploads.create(sha256, claim.to_json())
            except KeyWrongLastSequenceError:
                holder = await self.find(sha256)
                if holder is None:
                    raise TransientError("the claim on these bytes was removed at this moment") from None
                return holder.claim
        return claim

    async def remove(self, sha256: str, found: FoundClaim) -> None:
        """Remove a claim whose object does not exist, unless it has changed since it was read."""
        with _transient_when_unreachable():
            try:
                await self.uploads.delete(sha256, last=found.revision)
            except BadRequestError:  # it has another revision now
                return

    async def mark_published(self, claim: Claim) -> None:
        """Record that the event of the claim was published."""
        published = claim.model_copy(update={"state": "announced"})
        with _transient_when_unreachable():
            await self.uploads.put(claim.event.audio.sha256, published.to_json())

    async def add_pending(self, track_id: str, pending: PendingObject) -> None:
        """Record that an object is about to be stored."""
        with _transient_when_unreachable():
            await self.uploads.put(_PENDING + track_id, pending.to_json())

    async def remove_pending(self, track_id: str) -> None:
        """Remove the entry of a pending object, without a delete marker: every upload would leave one."""
        with _transient_when_unreachable():
            await purge_key(self.jetstream, streams.UPLOADS.name, _PENDING + track_id)

    async def list_pending(self) -> list[tuple[str, PendingObject]]:
        """Return the pending objects with their track ids."""
        found: list[tuple[str, PendingObject]] = []
        with _transient_when_unreachable():
            watcher = await self.uploads.watch(f"{_PENDING}*", ignore_deletes=True)
            try:
                while isinstance(entry := await watcher.updates(), KeyValue.Entry):
                    pending = PendingObject.model_validate_json(entry.value or b"")
                    found.append((entry.key.removeprefix(_PENDING), pending))
            finally:
                await watcher.stop()
        return found

    async def reserve_key(self, hashed_key: str, sha256: str) -> bool:
        """Reserve an idempotency key for these bytes; return False when other bytes have it."""
        with _transient_when_unreachable():
            try:
                await self.idempotency.create(hashed_key, sha256.encode())
            except KeyWrongLastSequenceError:
                entry = await self.idempotency.get(hashed_key)
                return entry.value == sha256.encode()
        return True


@contextmanager
def _transient_when_unreachable() -> Generator[None]:
    try:
        yield
    except (NatsError, TimeoutError, OSError) as error:
        raise TransientError(f"the broker's key-value store did not answer: {error!r}") from error
