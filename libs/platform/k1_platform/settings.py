"""Reads the settings that services share: servers, keys, HTTP, observability.

A setting is an environment variable, or a file with the name of the variable in the folder K1_SECRETS_DIR.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import AwareDatetime, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import override

from k1_platform.secret_settings import SecretFilesSource


class Settings(BaseSettings):
    """What every settings class inherits: it does not change, and a faulty one is reported without its values."""

    model_config = SettingsConfigDict(frozen=True, hide_input_in_errors=True)

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return where values come from: arguments, the environment, the files of secrets."""
        return init_settings, env_settings, SecretFilesSource(settings_cls)


class NatsSettings(Settings):
    """Settings of the connection to NATS, K1_NATS_*."""

    model_config = SettingsConfigDict(env_prefix="K1_NATS_")

    url: str = Field(
        default="nats://127.0.0.1:4222",
        repr=False,  # it may contain a password
        description="One or more NATS URLs, comma-separated.",
    )
    creds: Path | None = Field(
        default=None,
        description="The file of this service's credentials; without it the URL contains the user.",
    )
    ca: Path | None = Field(
        default=None,
        description="The CA certificate (PEM) of the servers of tls:// URLs; without it the CAs of the system are trusted.",
    )
    cert: Path | None = Field(
        default=None,
        description="The certificate (PEM, with its chain) that this client shows to servers that ask for one.",
    )
    key: Path | None = Field(default=None, description="The private key of `cert` (PEM).")
    tls_first: bool = Field(
        default=False,
        description="Whether a connection begins with TLS instead of the server's greeting, so that nobody on the way "
        "can deny TLS. The servers need `handshake_first`.",
    )

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """Return the settings that a process with these environment variables would read."""
        files = {
            name: environment.get(f"K1_NATS_{name.upper()}") or None
            for name in ("creds", "ca", "cert", "key")
        }
        first = environment.get("K1_NATS_TLS_FIRST", "false")
        return cls.model_validate({"url": environment["K1_NATS_URL"], "tls_first": first, **files})

    @model_validator(mode="after")
    def _certificate_has_its_key(self) -> Self:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key belong together: set both or neither")
        return self


class NatsKeysSettings(Settings):
    """The setting K1_NATS_KEYS, for the programs that make or use the keys of the operator and the account."""

    model_config = SettingsConfigDict(env_prefix="K1_")

    nats_keys: Path = Field(
        default=Path("/var/lib/k1/nats"), description="The folder of the NATS keys, see auth/nkeys.py."
    )


class ProvisionSettings(Settings):
    """The settings K1_PROVISION_*, for the program that creates streams, durables and buckets."""

    model_config = SettingsConfigDict(env_prefix="K1_PROVISION_")

    replicas: int = Field(
        default=1,
        ge=1,
        le=5,
        description="On how many NATS servers each stream and bucket is stored; 3 on a cluster of three.",
    )


class MirrorSettings(Settings):
    """The settings K1_MIRROR_*, for the program that provisions and promotes mirrors."""

    model_config = SettingsConfigDict(env_prefix="K1_MIRROR_")

    action: Literal["provision", "promote"] = Field(
        default="provision",
        description="`provision` makes or updates the mirrors; `promote` turns them into streams, when their source is lost.",
    )
    since: AwareDatetime | None = Field(
        default=None,
        description="From when on services handle the events of promoted mirrors (RFC 3339): a time before that of the "
        "restored databases. Without it they handle all events again.",
    )


class TlsSettings(Settings):
    """The settings K1_TLS and K1_TLS_NAMES, for the program that makes certificates."""

    model_config = SettingsConfigDict(env_prefix="K1_")

    tls: Path = Field(default=Path("/var/lib/k1/tls"), description="The folder of certificates and keys.")
    tls_names: str = Field(
        default="localhost,127.0.0.1",
        description="Host names and addresses by which clients reach the servers, comma-separated.",
    )


class PostgresSettings(Settings):
    """Settings of the PostgreSQL database, K1_POSTGRES_*."""

    model_config = SettingsConfigDict(env_prefix="K1_POSTGRES_")

    dsn: SecretStr = Field(
        default=SecretStr("postgresql://k1@127.0.0.1:5432/k1"), description="PostgreSQL URL with password."
    )
    pool_size: int = Field(default=10, ge=1, description="The maximum number of connections of one process.")


class MongoSettings(Settings):
    """Settings of the MongoDB database, K1_MONGO_*."""

    model_config = SettingsConfigDict(env_prefix="K1_MONGO_")

    url: SecretStr = Field(default=SecretStr("mongodb://127.0.0.1:27017"), description="MongoDB URL.")
    database: str = Field(default="k1", description="The database that holds the maps.")


class ObjectStoreSettings(Settings):
    """Settings of the object store, K1_S3_*."""

    model_config = SettingsConfigDict(env_prefix="K1_S3_")

    url: str = Field(default="http://127.0.0.1:9000", description="The S3 endpoint that services use.")
    public_url: str | None = Field(
        default=None,
        description="The endpoint in signed URLs, when browsers reach the store at another address.",
    )
    access_key: SecretStr = Field(default=SecretStr(""), description="S3 access key.")
    secret_key: SecretStr = Field(default=SecretStr(""), description="S3 secret key.")
    bucket: str = Field(default="k1-songs", description="The bucket of songs and artefacts.")
    region: str = Field(default="us-east-1", description="The region for which requests are signed.")
    ca: Path | None = Field(
        default=None,
        description="The CA certificate (PEM) of an https endpoint; without it the CAs of the system are trusted.",
    )


class SigningSettings(Settings):
    """The setting K1_SIGNING_KEYS, for the service that signs bundles."""

    model_config = SettingsConfigDict(env_prefix="K1_")

    signing_keys: Path = Field(
        default=Path("/var/lib/k1/keys"), description="The folder of the keys that sign bundles."
    )


class ObservabilitySettings(Settings):
    """The settings K1_LOG_LEVEL, K1_SENTRY_DSN, K1_ENVIRONMENT and OTEL_EXPORTER_OTLP_ENDPOINT."""

    model_config = SettingsConfigDict(env_prefix="K1_")

    log_level: str = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR.")
    sentry_dsn: SecretStr | None = Field(
        default=None,
        description="The address (DSN) of a Sentry-compatible server that receives errors; without it none are sent.",
    )
    environment: str = Field(
        default="production", description="The name of the installation in error reports and traces."
    )
    otlp_endpoint: str | None = Field(
        default=None,
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="The endpoint that receives traces; without it no traces are exported.",
    )


class HttpSettings(Settings):
    """Settings of the HTTP server of a service; each service subclasses them with the prefix K1_<SERVICE>_."""

    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    port: int = Field(
        default=0, ge=0, le=65535, description="The port of HTTP, health and metrics; 0 selects a free port."
    )
    receive_timeout_s: float = Field(
        default=20,
        gt=0,
        description="How long a client may take for the head of a request, for a small body, and for each pause in "
        "an upload, in seconds.",
    )
    send_timeout_s: float = Field(
        default=60,
        gt=0,
        description="How long a client may read nothing of a response that is being sent, in seconds.",
    )
    idle_timeout_s: float = Field(
        default=75,
        gt=0,
        description="How long a connection is kept between two requests, in seconds; longer than a proxy in "
        "front of this service keeps it.",
    )
    drain_s: float = Field(
        default=0,
        ge=0,
        description="How long after SIGTERM the service still takes requests while /readyz answers 503, in seconds; "
        "longer than a load balancer needs to notice.",
    )
    tls_cert: Path | None = Field(
        default=None,
        description="The certificate (PEM, with its chain); with it the service serves HTTPS instead of HTTP.",
    )
    tls_key: Path | None = Field(default=None, description="The private key of `tls_cert` (PEM).")

    @model_validator(mode="after")
    def _certificate_has_its_key(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key belong together: set both or neither")
        return self
