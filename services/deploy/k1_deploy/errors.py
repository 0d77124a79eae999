"""The errors of deploy.

A device that does not reply is DeviceUnreachable (a retry may succeed); a hello of an unknown or revoked device raises
PermanentError and becomes a dead letter; a query that fails raises QueryError.
"""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus

from k1_contracts.base import rfc3339
from k1_contracts.messages.deploy.deployments import DEPLOYMENT_MAX_DEVICES
from k1_platform.errors import PermanentError, TransientError
from k1_platform.nats.device_errors import MessageError
from k1_platform.nats.queries.rpc import QueryError


class DeviceUnreachable(TransientError):  # noqa: N818  named after UNREACHABLE of other protocols
    """The device is not connected, or did not reply in time."""


class LeaseLostError(TransientError):
    """Another process may run the deployment: this one must not act or write any more."""


def wrong_device_id(device_id: str, named: str) -> MessageError:
    message = (
        f"The credential is of {device_id}, but the message names {named}. Use the id of the credential."
    )
    return MessageError("wrong_id", message, "id")


def hello_rejected(error: PermanentError) -> MessageError:
    """Return the error message for a device whose hello becomes a dead letter."""
    code = "revoked_device" if error.code == "revoked_device" else "unknown_device"
    return MessageError(code, f"{error}; install the new credential on the device.")


def hello_of_unknown(device_id: str) -> PermanentError:
    message = f"device {device_id} said hello, but was never added: `k1 devices add {device_id}`"
    return PermanentError("unknown_device", message)


def hello_of_revoked(device_id: str) -> PermanentError:
    message = f"device {device_id} said hello, but was revoked: `k1 devices add --renew {device_id}`"
    return PermanentError("revoked_device", message)


def devices_not_found(device_ids: Sequence[str]) -> QueryError:
    message = f"There is no device {_some(device_ids)}; `k1 devices list` lists them."
    return QueryError("device_not_found", message, HTTPStatus.NOT_FOUND)


def devices_exist(device_ids: Sequence[str]) -> QueryError:
    message = (
        f"There is a device {_some(device_ids)} already; nothing was added. "
        "With --renew it gets a new credential, and the old one is revoked."
    )
    return QueryError("device_exists", message, HTTPStatus.CONFLICT)


def credentials_unavailable() -> QueryError:
    message = (
        "This service was given no keys (K1_DEPLOY_NATS_KEYS), so devices cannot be added or revoked here."
    )
    return QueryError("credentials_unavailable", message, HTTPStatus.SERVICE_UNAVAILABLE)


def no_targets() -> QueryError:
    message = "Say which devices: either device_ids, at least one, or a group."
    return QueryError("invalid_request", message, HTTPStatus.UNPROCESSABLE_ENTITY)


def group_empty(group: str) -> QueryError:
    message = f"There is no device in the group {group}; `k1 devices list` lists them with their groups."
    return QueryError("group_not_found", message, HTTPStatus.NOT_FOUND)


def group_too_large(group: str, size: int) -> QueryError:
    message = (
        f"The group {group} has {size} devices, a deployment takes {DEPLOYMENT_MAX_DEVICES}; "
        "name the devices, in several deployments."
    )
    return QueryError("group_too_large", message, HTTPStatus.UNPROCESSABLE_ENTITY)


def gate_not_overridable(gate: str) -> QueryError:
    message = f"The gate {gate} cannot be overridden: connect the device, or leave it out."
    return QueryError("gate_not_overridable", message, HTTPStatus.UNPROCESSABLE_ENTITY)


def activation_in_the_past(at: datetime, now: datetime) -> QueryError:
    message = (
        f"The activation time {rfc3339(at)} is past, now it is {rfc3339(now)}; "
        "give a later one, or activate now."
    )
    return QueryError("activation_in_the_past", message, HTTPStatus.UNPROCESSABLE_ENTITY)


def deployment_not_found(deployment_id: str) -> QueryError:
    message = f"There is no deployment {deployment_id}; `k1 deployments list` lists them."
    return QueryError("deployment_not_found", message, HTTPStatus.NOT_FOUND)


def control_rejected(deployment_id: str, action: str, status: str) -> QueryError:
    message = f"Deployment {deployment_id} is {status}: there is nothing to {action} now."
    return QueryError("deployment_state", message, HTTPStatus.CONFLICT)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"  # noqa: PLR2004
