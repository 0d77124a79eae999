"""The keys of the bus: an operator, its accounts and their users, made once for each installation.

`python -m k1_platform.auth.nkeys` fills the folder K1_NATS_KEYS and changes nothing that is there; a key that was
removed is made anew, and what follows from it with it. The four folders go to four parties:

* `root/`: seeds of the operator, the system account, the account K1 and of who signs services. For no service.
* `server/operator.conf`: public tokens, for the NATS server's configuration.
* `services/nats.creds`: for every service, as K1_NATS_CREDS.
* `deploy/`: what minting and revoking devices takes, for the service deploy alone, as K1_DEPLOY_NATS_KEYS.
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
from k1_platform.settings import NatsKeysSettings, ObservabilitySettings

_log = logging.getLogger(__name__)

_PUBLIC: Final = 0o644


@dataclass(frozen=True, slots=True)
class NatsKeys:
    """Where the parts of one folder of keys are."""

    folder: Path

    @property
    def server_configuration(self) -> Path:
        """Operator, system account and first accounts, to be included in the server's configuration."""
        return self.folder / "server" / "operator.conf"

    @property
    def service_credentials(self) -> Path:
        """For K1_NATS_CREDS."""
        return self.folder / "services" / "nats.creds"

    @property
    def deploy(self) -> Path:
        """For K1_DEPLOY_NATS_KEYS."""
        return self.folder / "deploy"

    @property
    def account(self) -> str:
        """The public key of the account K1."""
        return read_key(self.folder / "root" / "account.nk").public_key


def read_key(file: Path) -> KeyPair:
    """The key of a seed file.

    Raises:
        NatsTokenError: it holds none; the message names it.
        OSError: it cannot be read.
    """
    try:
        return KeyPair.from_seed(file.read_text())
    except ValueError as error:
        raise NatsTokenError(
            f"{file} holds no seed: {error}; put the right one back, or remove it"
        ) from error


def ensure_nats_keys(folder: Path) -> NatsKeys:
    """Make what is missing. Several processes may try at once.

    Raises:
        NatsTokenError: a file holds no key; the message names it.
        OSError: the folder cannot be written.
    """
    made = NatsKeys(folder)
    with folder_lock(folder):
        for part in ("root", "server", "services", "deploy"):
            (folder / part).mkdir(mode=0o700, exist_ok=True)
        account = _ensure_accounts(made)
        _ensure_users(made, account)
    return made


def _ensure_accounts(made: NatsKeys) -> AccountKeys:
    root, deploy = made.folder / "root", made.deploy
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
    _write(made.server_configuration, "\n".join(lines), _PUBLIC)
    _write(deploy / "account.json", json.dumps(asdict(keys), indent=2))
    return keys


def _ensure_users(made: NatsKeys, keys: AccountKeys) -> None:
    """Credentials are made anew where what they say has changed, or the key that signs them."""
    now, root = int(time.time()), made.folder / "root"
    user, keeper = KeyPair.generate(KeyKind.USER), KeyPair.generate(KeyKind.USER)
    services = encode(service_claims(user.public_key, keys.account, now), read_key(root / "services.nk"))
    system = encode(account_keeper_claims(keeper.public_key, now), read_key(root / "system.nk"))
    _ensure_credentials(made.service_credentials, services, user)
    _ensure_credentials(made.deploy / "system.creds", system, keeper)


def _ensure_credentials(file: Path, token: str, user: KeyPair) -> None:
    """Write the file unless it holds the like for a user of its own."""
    if _lasting(file) != _what_lasts(token):
        _write(file, credentials_text(token, user))


def _lasting(file: Path) -> Claims | None:
    try:
        token, _ = parse_credentials(file.read_text())
    except (FileNotFoundError, NatsTokenError):
        return None
    return _what_lasts(token)


def _what_lasts(token: str) -> Claims:
    """All claims but those that are new with each token."""
    return {name: value for name, value in decode(token).items() if name not in {"sub", "iat", "jti"}}


def _ensure_key(file: Path, kind: KeyKind) -> KeyPair:
    if not file.exists():
        _write(file, KeyPair.generate(kind).seed + "\n")
    return read_key(file)


def _write(file: Path, text: str, mode: int = PRIVATE) -> None:
    """Only where it changes something."""
    if not file.exists() or file.read_text() != text:
        write_atomically(file, text, mode)


def main() -> None:
    """Make what is missing in the folder K1_NATS_KEYS."""
    # Slow to import, and the embedded stack, which imports this module, needs none of it.
    from k1_platform.observability.logging import configure_logging  # noqa: PLC0415

    configure_logging("nats-keys", ObservabilitySettings().log_level)
    made = ensure_nats_keys(NatsKeysSettings().nats_keys)
    _log.info("keys of the bus are complete", extra={"folder": str(made.folder), "account": made.account})


if __name__ == "__main__":
    main()
