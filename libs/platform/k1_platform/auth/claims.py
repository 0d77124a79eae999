"""Makes the claims of NATS tokens: the permissions of the operator, the accounts and the users; pure.

The claims of the account depend only on its signing keys and on the revocations, so the account can be rebuilt from
them. The `name` of the account K1 is its public key, because autoscalers look an account up by either.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from k1_contracts.messages.deploy.device_link import DEVICE_MAX_SUBSCRIPTIONS
from k1_contracts.streams import DEVICE_MESSAGE_MAX_BYTES
from k1_platform.auth.jwt import Claims
from k1_platform.auth.service_permissions import mirror_permissions, permissions_of

PRELOAD_ISSUED_AT: Final = 1
"""The issue time (s) of the first token of an account. It is older than that of any later token, so a server never
replaces a token with revocations by the first one, whatever the clocks say."""

_REVOKED_UNTIL: Final = 253_402_300_799
"""A revocation applies to tokens issued until this time (s), the end of the year 9999. The key of a credential is never
used again, and a token issued by a clock that was ahead must be revoked as well."""

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
_REPLY_WITHIN_NS: Final = 60 * 1_000_000_000
"""How long a device may take to reply. Its reply to `stage` comes after the transfer, which may take long."""

_NAME: Final = "{{name()}}"


@dataclass(frozen=True, slots=True)
class AccountKeys:
    """Public keys of the account K1."""

    account: str
    services: str
    """Signs the users of services and of tools, whose tokens contain their permissions."""
    device: str
    """Signs devices that connect over NATS; its template applies to every user that it signs."""
    device_mqtt: str
    """Signs devices that connect over MQTT; its template applies to every user that it signs."""


def operator_claims(operator: str, signing_key: str, system_account: str) -> Claims:
    """Return the claims of the operator. `signing_key` signs accounts, so no service needs the key of the operator."""
    body = {"signing_keys": [signing_key], "system_account": system_account}
    return _claims(operator, "k1", PRELOAD_ISSUED_AT, "operator", body)


def system_account_claims(account: str) -> Claims:
    """Return the claims of the system account, in which the server responds to requests about itself."""
    return _claims(account, "SYS", PRELOAD_ISSUED_AT, "account", {"limits": _ACCOUNT_LIMITS})


def account_claims(keys: AccountKeys, revoked: Iterable[str], issued_at: int) -> Claims:
    """Return the claims of the account K1.

    `revoked`: public keys of users who may no longer connect; `issued_at` in s.
    """
    body = {
        "description": "K1",
        "limits": _ACCOUNT_LIMITS | _JETSTREAM_LIMITS,
        "signing_keys": [
            keys.services,
            _scope(keys.device, "device", _device_template()),
            _scope(keys.device_mqtt, "device-mqtt", _mqtt_template()),
        ],
        "revocations": dict.fromkeys(sorted(revoked), _REVOKED_UNTIL),
    }
    return _claims(keys.account, keys.account, issued_at, "account", body)


def admin_claims(user: str, account: str, issued_at: int) -> Claims:
    """Return the claims of a user who may do everything in the account; for provisioning and other tools."""
    return _claims(user, "admin", issued_at, "user", {"issuer_account": account, **_UNLIMITED})


def service_claims(user: str, account: str, service: str, issued_at: int) -> Claims:
    """Return the claims of a service, which may use only its own subjects."""
    body = {"issuer_account": account, **permissions_of(service).claims, **_UNLIMITED}
    return _claims(user, service, issued_at, "user", body)


def mirror_claims(user: str, account: str, issued_at: int) -> Claims:
    """Return the claims with which the servers of a mirror connect to those of the source, as leaf nodes."""
    body = {"issuer_account": account, **mirror_permissions().claims, **_UNLIMITED}
    return _claims(user, "mirror", issued_at, "user", body | {"allowed_connection_types": ["LEAFNODE"]})


def account_keeper_claims(user: str, issued_at: int) -> Claims:
    """Return the claims of a user of the system account.

    The user may only read and replace accounts, and list and end connections.
    """
    publish = ["$SYS.REQ.CLAIMS.UPDATE", "$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP"]
    publish += ["$SYS.REQ.SERVER.*.CONNZ", "$SYS.REQ.SERVER.*.KICK"]
    subscribe = ["_INBOX.>", "$SYS.ACCOUNT.*.CONNECT", "$SYS.ACCOUNT.*.DISCONNECT"]
    body = {"pub": {"allow": publish}, "sub": {"allow": subscribe}, **_UNLIMITED}
    return _claims(user, "account-keeper", issued_at, "user", body)


def device_claims(user: str, account: str, device_id: str, issued_at: int) -> Claims:
    """Return the claims of a device, named by its id; the template of the signing key defines its permissions."""
    return _claims(user, device_id, issued_at, "user", {"issuer_account": account})


def _claims(subject: str, name: str, issued_at: int, kind: str, body: dict[str, Any]) -> Claims:
    return {"sub": subject, "name": name, "iat": issued_at, "nats": {**body, "type": kind, "version": 2}}


def _scope(key: str, role: str, template: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "user_scope", "key": key, "role": role, "template": template}


def _device_template() -> dict[str, Any]:
    return {
        "pub": {"allow": _publish_subjects()},
        "sub": {"allow": [f"command.{_NAME}.>", f"_INBOX.{_NAME}.>"]},
        "resp": {"max": 1, "ttl": _REPLY_WITHIN_NS},
        "allowed_connection_types": ["STANDARD", "WEBSOCKET"],
        **_DEVICE_LIMITS,
    }


def _mqtt_template() -> dict[str, Any]:
    # `command/<id>/#` stands for the parent level too. NATS 2.15 delivers QoS 1 without the permission on $MQTT.sub.>
    # that older servers require; with it a device might receive the messages of others.
    return {
        "pub": {"allow": _publish_subjects()},
        "sub": {"allow": [f"command.{_NAME}", f"command.{_NAME}.>"]},
        "bearer_token": True,
        "allowed_connection_types": ["MQTT"],
        **_DEVICE_LIMITS,
    }


def _publish_subjects() -> list[str]:
    verbs = ("hello", "bye", "reply", "fetch")
    return [*(f"device.{_NAME}.{verb}" for verb in verbs), f"telemetry.{_NAME}"]
