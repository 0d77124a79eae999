"""What can go wrong in deploy.

A device that does not answer is DeviceUnreachable (another try may find it); a hello that nobody should have
sent raises PermanentError and is dead-lettered; a question without an answer raises AnswerError.
"""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus

from k1_contracts.base import rfc3339
from k1_contracts.messages.deployments import DEPLOYMENT_MAX_DEVICES
from k1_platform.device_errors import Problem
from k1_platform.errors import PermanentError, TransientError
from k1_platform.rpc import AnswerError


class DeviceUnreachable(TransientError):  # noqa: N818  the word for it, as in UNREACHABLE of other protocols
    """Nobody listens to the device's commands, or no answer came in time."""


class LeaseLostError(TransientError):
    """Another process may drive the deployment: this one must neither act nor write any more."""


def foreign_id(device_id: str, said: str) -> Problem:
    message = f"The credential is of {device_id}, but the message names {said}. Use the id of the credential."
    return Problem("wrong_id", message, "id")


def hello_refused(error: PermanentError) -> Problem:
    """What the device itself is to know of a hello that is a dead letter."""
    code = "revoked_device" if error.code == "revoked_device" else "unknown_device"
    return Problem(code, f"{error}; install the new credential on the device.")


def hello_of_unknown(device_id: str) -> PermanentError:
    message = f"device {device_id} said hello, but was never added: `k1 devices add {device_id}`"
    return PermanentError("unknown_device", message)


def hello_of_revoked(device_id: str) -> PermanentError:
    message = f"device {device_id} said hello, but was revoked: `k1 devices add --renew {device_id}`"
    return PermanentError("revoked_device", message)


def devices_not_found(device_ids: Sequence[str]) -> AnswerError:
    message = f"There is no device {_some(device_ids)}; `k1 devices list` lists them."
    return AnswerError("device_not_found", message, HTTPStatus.NOT_FOUND)


def devices_exist(device_ids: Sequence[str]) -> AnswerError:
    message = (
        f"There is a device {_some(device_ids)} already; nothing was added. "
        "With --renew it gets a new credential, and the old one is revoked."
    )
    return AnswerError("device_exists", message, HTTPStatus.CONFLICT)


def no_keys() -> AnswerError:
    message = (
        "This service was given no keys (K1_DEPLOY_NATS_KEYS), so devices cannot be added or revoked here."
    )
    return AnswerError("credentials_unavailable", message, HTTPStatus.SERVICE_UNAVAILABLE)


def no_targets() -> AnswerError:
    message = "Say which devices: either device_ids, at least one, or a group."
    return AnswerError("invalid_request", message, HTTPStatus.UNPROCESSABLE_ENTITY)


def group_empty(group: str) -> AnswerError:
    message = f"There is no device in the group {group}; `k1 devices list` lists them with their groups."
    return AnswerError("group_not_found", message, HTTPStatus.NOT_FOUND)


def group_too_large(group: str, size: int) -> AnswerError:
    message = (
        f"The group {group} has {size} devices, a deployment takes {DEPLOYMENT_MAX_DEVICES}; "
        "name the devices, in several deployments."
    )
    return AnswerError("group_too_large", message, HTTPStatus.UNPROCESSABLE_ENTITY)


def gate_not_overridable(gate: str) -> AnswerError:
    message = f"The gate {gate} cannot be overridden: connect the device, or leave it out."
    return AnswerError("gate_not_overridable", message, HTTPStatus.UNPROCESSABLE_ENTITY)


def activation_in_the_past(at: datetime, now: datetime) -> AnswerError:
    message = (
        f"The activation time {rfc3339(at)} is past, now it is {rfc3339(now)}; "
        "give a later one, or activate now."
    )
    return AnswerError("activation_in_the_past", message, HTTPStatus.UNPROCESSABLE_ENTITY)


def deployment_not_found(deployment_id: str) -> AnswerError:
    message = f"There is no deployment {deployment_id}; `k1 deployments list` lists them."
    return AnswerError("deployment_not_found", message, HTTPStatus.NOT_FOUND)


def control_refused(deployment_id: str, action: str, status: str) -> AnswerError:
    message = f"Deployment {deployment_id} is {status}: there is nothing to {action} now."
    return AnswerError("deployment_state", message, HTTPStatus.CONFLICT)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"  # noqa: PLR2004  the same five
