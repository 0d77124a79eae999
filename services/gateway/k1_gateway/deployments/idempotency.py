"""Stores which deployment was created for which Idempotency-Key, in the key-value bucket IDEMPOTENCY."""

from collections.abc import Generator
from contextlib import contextmanager
from hashlib import sha256

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError

from k1_contracts import streams
from k1_contracts.base import Contract
from k1_contracts.ids import DeploymentId, Sha256
from k1_gateway.errors import ProblemError


class Reservation(Contract):
    """The deployment that belongs to a key, for one day."""

    deployment_id: DeploymentId
    order_sha256: Sha256


async def find_reservation(jetstream: JetStreamContext, key: str) -> Reservation | None:
    """Return the reservation of the key; raise ProblemError when the bucket does not answer."""
    with _problem_when_unreachable():
        bucket = await jetstream.key_value(streams.IDEMPOTENCY.name)
        try:
            entry = await bucket.get(_entry_name(key))
        except KeyNotFoundError:
            return None
    return Reservation.model_validate_json(entry.value or b"")


async def reserve(jetstream: JetStreamContext, key: str, reservation: Reservation) -> Reservation:
    """Reserve the key and return the reservation that holds, which is another one when another request was first."""
    with _problem_when_unreachable():
        bucket = await jetstream.key_value(streams.IDEMPOTENCY.name)
        try:
            await bucket.create(_entry_name(key), reservation.to_json())
        except KeyWrongLastSequenceError:
            return await find_reservation(jetstream, key) or reservation
    return reservation


def require_same_order(reservation: Reservation, order_sha256: str) -> None:
    """Raise ProblemError `idempotency_key_reused` (422) when the key was used for another deployment request."""
    if reservation.order_sha256 != order_sha256:
        detail = "This Idempotency-Key was used for another deployment; use a new one."
        raise ProblemError("idempotency_key_reused", 422, detail)


def _entry_name(key: str) -> str:
    # A key may hold characters that a subject must not contain.
    return f"deployment.{sha256(key.encode(errors='surrogateescape')).hexdigest()}"


@contextmanager
def _problem_when_unreachable() -> Generator[None]:
    try:
        yield
    except (NatsError, TimeoutError, OSError) as error:
        detail = "The broker does not answer; nothing was started. Try again in a moment."
        raise ProblemError("service_unavailable", 503, detail) from error
