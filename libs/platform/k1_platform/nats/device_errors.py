"""Reports errors in their messages to devices; for the services that read messages of devices.

An error goes to `command.<id>.error`, which the device may subscribe to over NATS and MQTT alike and may not publish on.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar

from nats.aio.client import Client
from nats.errors import Error as NatsError
from pydantic import ValidationError

from k1_contracts.base import Contract
from k1_contracts.messages.deploy.device_link import DEVICE_ERROR, DeviceError, DeviceErrorCode
from k1_contracts.streams import DEVICE_MESSAGE_MAX_BYTES

BURST: Final = 5
"""The number of errors that a device gets in a burst."""
PER_SECOND: Final = 1.0
"""The number of errors per second that a device gets in the long run."""
MOST_DEVICES: Final = 10_000
_MESSAGE_MAX: Final = 500
_WHAT_TO_DO: Final = "Correct the message and send it again."
_log = logging.getLogger(__name__)
M = TypeVar("M", bound=Contract)


@dataclass(frozen=True, slots=True)
class MessageError:
    """What is wrong with a message."""

    code: DeviceErrorCode
    message: str
    field: str | None = None

    @classmethod
    def of(cls, error: ValidationError) -> "MessageError":
        """Return the first error of the validation."""
        first = error.errors(include_input=False, include_url=False)[0]
        if first["type"] == "json_invalid":
            return cls("invalid_json", f"The body is no JSON: {first['msg']}. {_WHAT_TO_DO}")
        field = ".".join(map(str, first["loc"]))
        return cls("invalid_field", f"{field or 'the body'}: {first['msg']}. {_WHAT_TO_DO}", field or None)


def parse_device_message(model: type[M], data: bytes) -> M | MessageError:
    """Return the message of a device, or what is wrong with it."""
    if len(data) > DEVICE_MESSAGE_MAX_BYTES:
        return MessageError("too_many", f"{len(data)} bytes; a message takes {DEVICE_MESSAGE_MAX_BYTES}.")
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        return MessageError.of(error)


@dataclass(slots=True)
class _Allowance:
    """The errors that a device may still get, and the number of suppressed errors."""

    left: float
    at_s: float
    suppressed: int = 0


class ErrorLimiter:
    """Limits the rate of errors to each device; pure except for its clock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: monotonic, in s."""
        self._clock = clock
        self._devices: OrderedDict[str, _Allowance] = OrderedDict()

    def allow(self, device_id: str) -> int | None:
        """Return how many errors were suppressed before this one; None when this one is suppressed too."""
        now_s = self._clock()
        allowance = self._devices.setdefault(device_id, _Allowance(BURST, now_s))
        self._devices.move_to_end(device_id)
        if len(self._devices) > MOST_DEVICES:
            self._devices.popitem(last=False)
        allowance.left = min(BURST, allowance.left + (now_s - allowance.at_s) * PER_SECOND)
        allowance.at_s = now_s
        if allowance.left < 1:
            allowance.suppressed += 1
            return None
        allowance.left -= 1
        suppressed, allowance.suppressed = allowance.suppressed, 0
        return suppressed


class DeviceErrors:
    """Publishes errors to devices over the connection of the service."""

    def __init__(self, client: Client, limiter: ErrorLimiter | None = None) -> None:
        self._client = client
        self._limiter = limiter or ErrorLimiter()

    async def report(self, device_id: str, subject: str, find: Callable[[], MessageError]) -> None:
        """Publish the error of a message on `subject`, unless the device has reached its limit of errors.

        `find` is called only if the error is published, because finding the reason may be expensive.
        """
        suppressed = self._limiter.allow(device_id)
        if suppressed is None:
            return
        problem = find()
        _log.warning(
            "message of a device rejected",
            extra={
                "device_id": device_id,
                "subject": subject,
                "code": problem.code,
                "reason": problem.message,
            },
        )
        error = DeviceError(
            device_id=device_id,
            subject=subject,
            code=problem.code,
            field=problem.field,
            message=problem.message[:_MESSAGE_MAX],
            suppressed=suppressed,
            at=datetime.now(UTC),
        )
        to = DEVICE_ERROR.subject_for(device_id)
        try:
            await self._client.publish(to, error.to_json())
        except (NatsError, OSError) as failure:
            _log.warning(
                "error not sent to a device", extra={"device_id": device_id, "reason": repr(failure)}
            )
