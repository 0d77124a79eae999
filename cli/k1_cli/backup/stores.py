"""Names the stores and keys of an installation: of a stack of `k1 up`, or of the addresses in the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from pydantic import SecretStr

from k1_cli.errors import CommandError
from k1_cli.stack.embedded.home import Home
from k1_platform.settings import MongoSettings, NatsSettings, ObjectStoreSettings

DEVICES: Final = "devices"
"""The credentials of devices; the folders in it are the memories of simulated devices and belong to these."""
_HOME_ENTRIES: Final = (
    *("keys", "nats-keys", "account-keys", "webhook-keys", "tls", DEVICES, "api-key", "mail"),
    "run/ports.json",
)
"""What belongs to the installation beside the data of the servers. The ports are those that devices know."""
_KEY_VARIABLES: Final = {
    "K1_NATS_KEYS": "nats-keys",
    "K1_SIGNING_KEYS": "keys",
    "K1_ACCOUNTS_KEYS": "account-keys",
    "K1_WEBHOOKS_KEY_FILE": "webhook-keys/secret.key",
}
_ADDRESSES: Final = ("K1_NATS_URL", "K1_POSTGRES_DSN", "K1_MONGO_URL", "K1_S3_URL")


@dataclass(frozen=True)
class Stores:
    """The addresses of all servers, and the files of the keys."""

    bus: NatsSettings
    postgres_dsn: str
    mongo: MongoSettings
    objects: ObjectStoreSettings
    keys: Mapping[str, Path]
    """The path in the backup -> the file or folder."""

    @classmethod
    def of_home(cls, home: Home, environment: Mapping[str, str]) -> Self:
        """Return the stores of a stack whose servers run."""
        return cls._of(environment, {name: home.root / name for name in _HOME_ENTRIES})

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> Self:
        """Return the stores that the variables K1_* name.

        Raises:
            CommandError: a variable is missing.
        """
        missing = [name for name in (*_ADDRESSES, *_KEY_VARIABLES) if not environment.get(name)]
        if missing:
            raise CommandError(f"set {', '.join(missing)}: the backup needs every store and every key")
        return cls._of(environment, {path: Path(environment[name]) for name, path in _KEY_VARIABLES.items()})

    @classmethod
    def _of(cls, environment: Mapping[str, str], keys: Mapping[str, Path]) -> Self:
        ca = environment.get("K1_S3_CA")
        return cls(
            bus=NatsSettings.of(environment),
            postgres_dsn=environment["K1_POSTGRES_DSN"],
            mongo=MongoSettings(
                url=SecretStr(environment["K1_MONGO_URL"]),
                database=environment.get("K1_MONGO_DATABASE", "k1"),
            ),
            objects=ObjectStoreSettings(
                url=environment["K1_S3_URL"],
                access_key=SecretStr(environment.get("K1_S3_ACCESS_KEY", "")),
                secret_key=SecretStr(environment.get("K1_S3_SECRET_KEY", "")),
                bucket=environment.get("K1_S3_BUCKET", "k1-songs"),
                region=environment.get("K1_S3_REGION", "us-east-1"),
                ca=Path(ca) if ca else None,
            ),
            keys=keys,
        )
