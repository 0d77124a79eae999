"""What the operator, the accounts and the users of the bus may: the claims of their tokens, pure.

The account's claims follow from its signing keys and the revocations alone, so that whoever has them can make the
account anew. `name` of the account K1 is its public key, as autoscalers look an account up by either.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from k1_contracts.messages.device_link import DEVICE_MAX_SUBSCRIPTIONS
from k1_contracts.streams import DEVICE_MESSAGE_MAX_BYTES
from k1_platform.nats_jwt import Claims

PRELOAD_ISSUED_AT: Final = 1
"""The moment (s) in which an account's first token claims to be issued: older than any that is pushed later, so that
a server never puts it in the place of one with revocations, whatever the clocks say."""

_REVOKED_FOR_EVER: Final = 253_402_300_799
"""A revocation holds for tokens issued until this moment (s): the end of the year 9999. A credential's key is never
used again, and a clock that was ahead when it was minted must not save it."""

_UNLIMITED: Final = {"subs": -1, "data": -1, "payload": -1}
_ACCOUNT_LIMITS: Final = _UNLIMITED | {
    "imports": -1,
    "exports": -1,
    "wildcards": True,
    "conn": -1,
    "leaf": -1,
}
_JETSTREAM_LIMITS: Final = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}

_DEVICE_LIMITS: Final = {"subs": DEVICE_MAX_SUBSCRIPTIONS, "data": -1, "payload": DEVICE_MESSAGE_MAX_BYTES}
_ANSWER_WITHIN_NS: Final = 60 * 1_000_000_000
"""Staging answers after its transfer, so a device may take a while."""

_NAME: Final = "{{name()}}"


@dataclass(frozen=True, slots=True)
class AccountKeys:
    """Public keys of the account K1."""

    account: str
    services: str
    """Signs the services' users, who may do everything within the account."""
    device: str
    """Signs devices over NATS; the template holds for every user that it signs."""
    device_mqtt: str
    """Signs devices over MQTT, likewise."""


def operator_claims(operator: str, signing_key: str, system_account: str) -> Claims:
    """The operator; accounts are signed by `signing_key`, so that the operator's own key stays away from services."""
    body = {"signing_keys": [signing_key], "system_account": system_account}
    return _claims(operator, "k1", PRELOAD_ISSUED_AT, "operator", body)


def system_account_claims(account: str) -> Claims:
    """The account in which the server answers questions about itself."""
    return _claims(account, "SYS", PRELOAD_ISSUED_AT, "account", {"limits": _ACCOUNT_LIMITS})


def account_claims(keys: AccountKeys, revoked: Iterable[str], issued_at: int) -> Claims:
    """The account K1. `revoked`: public keys of users who may no longer connect; `issued_at` in s."""
    body = {
        "description": "K1",
        "limits": _ACCOUNT_LIMITS | _JETSTREAM_LIMITS,
        "signing_keys": [
            keys.services,
            _scope(keys.device, "device", _device_template()),
            _scope(keys.device_mqtt, "device-mqtt", _mqtt_template()),
        ],
        "revocations": dict.fromkeys(sorted(revoked), _REVOKED_FOR_EVER),
    }
    return _claims(keys.account, keys.account, issued_at, "account", body)


def service_claims(user: str, account: str, issued_at: int) -> Claims:
    """A user who may do everything in the account."""
    return _claims(user, "services", issued_at, "user", {"issuer_account": account, **_UNLIMITED})


def account_keeper_claims(user: str, issued_at: int) -> Claims:
    """A user of the system account who may read and replace accounts, see and end connections, and nothing else."""
    publish = ["$SYS.REQ.CLAIMS.UPDATE", "$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP"]
    publish += ["$SYS.REQ.SERVER.*.CONNZ", "$SYS.REQ.SERVER.*.KICK"]
    subscribe = ["_INBOX.>", "$SYS.ACCOUNT.*.CONNECT", "$SYS.ACCOUNT.*.DISCONNECT"]
    body = {"pub": {"allow": publish}, "sub": {"allow": subscribe}, **_UNLIMITED}
    return _claims(user, "account-keeper", issued_at, "user", body)


def device_claims(user: str, account: str, device_id: str, issued_at: int) -> Claims:
    """A device: its id is the name; what it may follows from the template of the key that signs it."""
    return _claims(user, device_id, issued_at, "user", {"issuer_account": account})


def _claims(subject: str, name: str, issued_at: int, kind: str, body: dict[str, Any]) -> Claims:
    return {"sub": subject, "name": name, "iat": issued_at, "nats": {**body, "type": kind, "version": 2}}


def _scope(key: str, role: str, template: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "user_scope", "key": key, "role": role, "template": template}


def _device_template() -> dict[str, Any]:
    return {
        "pub": {"allow": _published()},
        "sub": {"allow": [f"command.{_NAME}.>", f"_INBOX.{_NAME}.>"]},
        "resp": {"max": 1, "ttl": _ANSWER_WITHIN_NS},
        "allowed_connection_types": ["STANDARD", "WEBSOCKET"],
        **_DEVICE_LIMITS,
    }


def _mqtt_template() -> dict[str, Any]:
    # `command/<id>/#` stands for the parent level too. NATS 2.15 delivers QoS 1 without the permission on $MQTT.sub.>
    # that older servers want; with it a device might hear what others are sent.
    return {
        "pub": {"allow": _published()},
        "sub": {"allow": [f"command.{_NAME}", f"command.{_NAME}.>"]},
        "bearer_token": True,
        "allowed_connection_types": ["MQTT"],
        **_DEVICE_LIMITS,
    }


def _published() -> list[str]:
    told = [f"device.{_NAME}.{verb}" for verb in ("hello", "bye", "reply", "fetch")]
    return [*told, f"telemetry.{_NAME}"]
