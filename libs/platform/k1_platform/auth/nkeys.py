"""Makes the NATS keys of an installation: an operator, its accounts and their users.

`python -m k1_platform.auth.nkeys` writes into the folder K1_NATS_KEYS. It never changes an existing key. After a key was
removed, it makes a new one and everything that is derived from it. There are five folders:

* `root/`: the seeds of the operator, the system account, the account K1 and the key that signs services; for no service.
* `server/operator.conf`: public tokens, for the configuration of the NATS server.
* `services/<name>/nats.creds`: for one service, as K1_NATS_CREDS; it permits only the subjects of the service.
* `admin/nats.creds`: for provisioning and other tools, as K1_NATS_CREDS; it permits everything within the account K1.
  `admin/mirror.creds` and `admin/mirror.conf`: for the NATS servers of a second cluster that mirrors this one.
* `deploy/`: the keys that issue and revoke device credentials, only for the deploy service, as K1_DEPLOY_NATS_KEYS.
"""

import json
import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from k1_platform.auth.claims import (
    PRELOAD_ISSUED_AT,
    AccountKeys,
    account_claims,
    account_keeper_claims,
    admin_claims,
    mirror_claims,
    operator_claims,
    service_claims,
    system_account_claims,
)
from k1_platform.auth.jwt import (
    Claims,
    KeyKind,
    KeyPair,
    NatsTokenError,
    credentials_text,
    decode,
    encode,
    parse_credentials,
)
from k1_platform.auth.secret_files import PRIVATE, folder_lock, write_atomically
from k1_platform.auth.service_permissions import SERVICES
from k1_platform.settings import NatsKeysSettings, ObservabilitySettings

_log = logging.getLogger(__name__)

_PUBLIC: Final = 0o644


@dataclass(frozen=True, slots=True)
class NatsKeys:
    """The files of a folder of NATS keys."""

    folder: Path

    @property
    def server_configuration(self) -> Path:
        """The tokens of the operator and of the accounts; the configuration of the server includes this file."""
        return self.folder / "server" / "operator.conf"

    @property
    def admin_credentials(self) -> Path:
        """The credentials of provisioning and other tools, for K1_NATS_CREDS; they permit everything in the account."""
        return self.folder / "admin" / "nats.creds"

    @property
    def mirror_credentials(self) -> Path:
        """The credentials with which the servers of a mirror connect to those of the source."""
        return self.folder / "admin" / "mirror.creds"

    @property
    def mirror_account(self) -> Path:
        """The line of a leaf node's configuration that names the account K1."""
        return self.folder / "admin" / "mirror.conf"

    def service_credentials(self, service: str) -> Path:
        """Return the credentials of one service, for K1_NATS_CREDS."""
        return self.folder / "services" / service / "nats.creds"

    @property
    def deploy(self) -> Path:
        """The folder of the deploy service, for K1_DEPLOY_NATS_KEYS."""
        return self.folder / "deploy"

    @property
    def account(self) -> str:
        """The public key of the account K1."""
        return read_key(self.folder / "root" / "account.nk").public_key


def read_key(file: Path) -> KeyPair:
    """Return the key of a seed file.

    Raises:
        NatsTokenError: the file contains no seed; the message names the file.
        OSError: the file cannot be read.
    """
    try:
        return KeyPair.from_seed(file.read_text())
    except ValueError as error:
        raise NatsTokenError(
            f"{file} contains no seed: {error}; put the right one back, or remove it"
        ) from error


def ensure_nats_keys(folder: Path) -> NatsKeys:
    """Make the missing keys and tokens. Several processes may call this at once.

    Raises:
        NatsTokenError: a file contains no key; the message names the file.
        OSError: the folder cannot be written.
    """
    nats_keys = NatsKeys(folder)
    with folder_lock(folder):
        for part in ("root", "server", "admin", "services", "deploy", *(f"services/{n}" for n in SERVICES)):
            (folder / part).mkdir(mode=0o700, exist_ok=True)
        account = _ensure_accounts(nats_keys)
        _ensure_users(nats_keys, account)
    return nats_keys


def _ensure_accounts(nats_keys: NatsKeys) -> AccountKeys:
    root, deploy = nats_keys.folder / "root", nats_keys.deploy
    operator = _ensure_key(root / "operator.nk", KeyKind.OPERATOR)
    signing = _ensure_key(deploy / "operator-signing.nk", KeyKind.OPERATOR)
    system = _ensure_key(root / "system.nk", KeyKind.ACCOUNT)
    keys = AccountKeys(
        account=_ensure_key(root / "account.nk", KeyKind.ACCOUNT).public_key,
        services=_ensure_key(root / "services.nk", KeyKind.ACCOUNT).public_key,
        device=_ensure_key(deploy / "device.nk", KeyKind.ACCOUNT).public_key,
        device_mqtt=_ensure_key(deploy / "device-mqtt.nk", KeyKind.ACCOUNT).public_key,
    )
    claims = operator_claims(operator.public_key, signing.public_key, system.public_key)
    accounts = {
        system.public_key: encode(system_account_claims(system.public_key), signing),
        keys.account: encode(account_claims(keys, (), PRELOAD_ISSUED_AT), signing),
    }
    lines = [f"operator: {encode(claims, operator)}", f"system_account: {system.public_key}"]
    lines += [f"resolver_preload: {json.dumps(accounts, indent=2)}", ""]
    _write(nats_keys.server_configuration, "\n".join(lines), _PUBLIC)
    _write(deploy / "account.json", json.dumps(asdict(keys), indent=2))
    return keys


def _ensure_users(nats_keys: NatsKeys, keys: AccountKeys) -> None:
    """Write new credentials if their claims or the key that signs them have changed."""
    now, root = int(time.time()), nats_keys.folder / "root"
    signing = read_key(root / "services.nk")
    for service in SERVICES:
        user = KeyPair.generate(KeyKind.USER)
        token = encode(service_claims(user.public_key, keys.account, service, now), signing)
        _ensure_credentials(nats_keys.service_credentials(service), token, user)
    user, keeper = KeyPair.generate(KeyKind.USER), KeyPair.generate(KeyKind.USER)
    admin = encode(admin_claims(user.public_key, keys.account, now), signing)
    _ensure_credentials(nats_keys.admin_credentials, admin, user)
    user = KeyPair.generate(KeyKind.USER)
    mirror = encode(mirror_claims(user.public_key, keys.account, now), signing)
    _ensure_credentials(nats_keys.mirror_credentials, mirror, user)
    _write(nats_keys.mirror_account, f"account: {keys.account}\n", _PUBLIC)
    system = encode(account_keeper_claims(keeper.public_key, now), read_key(root / "system.nk"))
    _ensure_credentials(nats_keys.deploy / "system.creds", system, keeper)
    # Until the services had credentials of their own, they shared this file, which permitted everything.
    shared = nats_keys.folder / "services" / "nats.creds"
    # In a container with a read-only image removing fails, even if there is nothing to remove.
    if shared.exists():
        shared.unlink()


def _ensure_credentials(file: Path, token: str, user: KeyPair) -> None:
    """Write the file unless it already has the same claims for another user."""
    if _stored_claims(file) != _stable_claims(token):
        _write(file, credentials_text(token, user))


def _stored_claims(file: Path) -> Claims | None:
    try:
        token, _ = parse_credentials(file.read_text())
    except (FileNotFoundError, NatsTokenError):
        return None
    return _stable_claims(token)


def _stable_claims(token: str) -> Claims:
    """Return all claims except those that differ in each token."""
    return {name: value for name, value in decode(token).items() if name not in {"sub", "iat", "jti"}}


def _ensure_key(file: Path, kind: KeyKind) -> KeyPair:
    if not file.exists():
        _write(file, KeyPair.generate(kind).seed + "\n")
    return read_key(file)


def _write(file: Path, text: str, mode: int = PRIVATE) -> None:
    """Write a file if its text changes."""
    if not file.exists() or file.read_text() != text:
        write_atomically(file, text, mode)


def main() -> None:
    """Make the missing keys in the folder K1_NATS_KEYS."""
    # It is slow to import, and the embedded stack imports this module without it.
    from k1_platform.observability.logging import configure_logging  # noqa: PLC0415

    configure_logging("nats-keys", ObservabilitySettings().log_level)
    nats_keys = ensure_nats_keys(NatsKeysSettings().nats_keys)
    _log.info("NATS keys are complete", extra={"folder": str(nats_keys.folder), "account": nats_keys.account})


if __name__ == "__main__":
    main()
