"""What ingest remembers, in NATS key-value buckets: which track holds which bytes, and what is under way."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal, Self

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import BadRequestError, KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from k1_contracts import streams
from k1_contracts.base import Contract, UtcTime
from k1_contracts.messages.tracks import TrackUploaded
from k1_platform.errors import TransientError

_PENDING: Final = "pending."


class Claim(Contract):
    """The track that holds some audio bytes; the first upload of the bytes makes it, once and for all."""

    state: Literal["claimed", "announced"]
    event: TrackUploaded
    """Told to the bus as it stands here, by whoever comes to it: at the same time, under the same id."""
    idempotency: str | None = None
    """The hashed Idempotency-Key of the upload that made the track."""


class Pending(Contract):
    """An object that is about to appear in the store; the entry goes once its track is announced."""

    sha256: str
    object_key: str
    since: UtcTime


@dataclass(frozen=True, slots=True)
class Found:
    """A claim and the revision that it was read at."""

    claim: Claim
    revision: int


class Claims:
    """The buckets UPLOADS and IDEMPOTENCY; every failure to reach them is a TransientError."""

    def __init__(self, jetstream: JetStreamContext, uploads: KeyValue, idempotency: KeyValue) -> None:
        self._jetstream = jetstream
        self._uploads = uploads
        self._idempotency = idempotency

    @classmethod
    async def open(cls, jetstream: JetStreamContext) -> Self:
        """Open the provisioned buckets."""
        uploads = await jetstream.key_value(streams.UPLOADS.name)
        return cls(jetstream, uploads, await jetstream.key_value(streams.IDEMPOTENCY.name))

    async def check(self) -> None:
        """Raise unless the buckets are there; for readiness."""
        with _reachable():
            await self._uploads.status()
            await self._idempotency.status()

    async def find(self, sha256: str) -> Found | None:
        """The claim on these bytes."""
        with _reachable():
            try:
                entry = await self._uploads.get(sha256)
            except KeyNotFoundError:
                return None
        return Found(Claim.model_validate_json(entry.value or b""), entry.revision or 0)

    async def claim(self, sha256: str, claim: Claim) -> Claim:
        """Claim the bytes; returns the claim that holds, which is another one when another upload was first."""
        with _reachable():
            try:
                await self._uploads.create(sha256, claim.to_json())
            except KeyWrongLastSequenceError:
                holder = await self.find(sha256)
                if holder is None:
                    raise TransientError("the claim on these bytes was given up at this moment") from None
                return holder.claim
        return claim

    async def give_up(self, sha256: str, found: Found) -> None:
        """Remove a claim whose object is gone, unless it has changed since it was read."""
        with _reachable():
            try:
                await self._uploads.delete(sha256, last=found.revision)
            except BadRequestError:  # another revision by now
                return

    async def mark_announced(self, claim: Claim) -> None:
        """Record that the bus has the event."""
        announced = claim.model_copy(update={"state": "announced"})
        with _reachable():
            await self._uploads.put(claim.event.audio.sha256, announced.to_json())

    async def expect(self, track_id: str, pending: Pending) -> None:
        """Record that an object is about to appear."""
        with _reachable():
            await self._uploads.put(_PENDING + track_id, pending.to_json())

    async def forget(self, track_id: str) -> None:
        """The object's fate is settled. Leaves no marker: there is one entry for every upload ever made."""
        subject = f"$KV.{streams.UPLOADS.name}.{_PENDING}{track_id}"
        with _reachable():
            await self._jetstream.purge_stream(f"KV_{streams.UPLOADS.name}", subject=subject)

    async def pending(self) -> list[tuple[str, Pending]]:
        """The objects whose fate is not settled, with their track ids."""
        found: list[tuple[str, Pending]] = []
        with _reachable():
            watcher = await self._uploads.watch(f"{_PENDING}*", ignore_deletes=True)
            try:
                while isinstance(entry := await watcher.updates(), KeyValue.Entry):
                    pending = Pending.model_validate_json(entry.value or b"")
                    found.append((entry.key.removeprefix(_PENDING), pending))
            finally:
                await watcher.stop()
        return found

    async def reserve(self, hashed_key: str, sha256: str) -> bool:
        """Bind an idempotency key to these bytes; False when it is bound to others."""
        with _reachable():
            try:
                await self._idempotency.create(hashed_key, sha256.encode())
            except KeyWrongLastSequenceError:
                entry = await self._idempotency.get(hashed_key)
                return entry.value == sha256.encode()
        return True


@contextmanager
def _reachable() -> Generator[None]:
    try:
        yield
    except (NatsError, TimeoutError, OSError) as error:
        raise TransientError(f"the broker's key-value store did not answer: {error!r}") from error
