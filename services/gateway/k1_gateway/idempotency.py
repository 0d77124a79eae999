"""Which deployment was made for which Idempotency-Key, in the NATS key-value bucket of these keys."""

from collections.abc import Generator
from contextlib import contextmanager
from hashlib import sha256

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError

from k1_contracts import streams
from k1_contracts.base import Contract
from k1_contracts.ids import DeploymentId, Sha256
from k1_gateway.problems import ProblemError


class Reserved(Contract):
    """What a key stands for, for a day."""

    deployment_id: DeploymentId
    order_sha256: Sha256


async def find(jetstream: JetStreamContext, key: str) -> Reserved | None:
    """What the key stands for already; raises ProblemError where the bucket cannot be reached."""
    with _reachable():
        bucket = await jetstream.key_value(streams.IDEMPOTENCY.name)
        try:
            entry = await bucket.get(_name(key))
        except KeyNotFoundError:
            return None
    return Reserved.model_validate_json(entry.value or b"")


async def reserve(jetstream: JetStreamContext, key: str, wanted: Reserved) -> Reserved:
    """Bind the key; returns what it stands for, which is another one when another request was first."""
    with _reachable():
        bucket = await jetstream.key_value(streams.IDEMPOTENCY.name)
        try:
            await bucket.create(_name(key), wanted.to_json())
        except KeyWrongLastSequenceError:
            return await find(jetstream, key) or wanted
    return wanted


def require_same(reserved: Reserved, order_sha256: str) -> None:
    """Raise ProblemError `idempotency_key_reused` (422) when the key was used for another order."""
    if reserved.order_sha256 != order_sha256:
        detail = "This Idempotency-Key was used for another deployment; use a new one."
        raise ProblemError("idempotency_key_reused", 422, detail)


def _name(key: str) -> str:
    # A key may hold what a subject may not.
    return f"deployment.{sha256(key.encode(errors='surrogateescape')).hexdigest()}"


@contextmanager
def _reachable() -> Generator[None]:
    try:
        yield
    except (NatsError, TimeoutError, OSError) as error:
        detail = "The broker does not answer; nothing was started. Try again in a moment."
        raise ProblemError("service_unavailable", 503, detail) from error
