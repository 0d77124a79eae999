"""Where the servers are. Services know URLs and nothing else of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class NatsSettings(BaseSettings):
    """K1_NATS_*."""

    model_config = SettingsConfigDict(env_prefix="K1_NATS_", frozen=True)

    url: str = Field(default="nats://127.0.0.1:4222", description="One or more NATS URLs, comma-separated.")
    creds: Path | None = Field(
        default=None,
        description="The file of this service's credentials; without it the URL says who we are.",
    )
    ca: Path | None = Field(
        default=None,
        description="The CA certificate (PEM) of the servers of tls:// URLs; without it the system's own CAs count.",
    )

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """What another process with these variables would read."""
        creds, ca = environment.get("K1_NATS_CREDS"), environment.get("K1_NATS_CA")
        return cls(
            url=environment["K1_NATS_URL"],
            creds=Path(creds) if creds else None,
            ca=Path(ca) if ca else None,
        )


class NatsKeysSettings(BaseSettings):
    """K1_NATS_KEYS: only the step that makes the keys is given it."""

    model_config = SettingsConfigDict(env_prefix="K1_", frozen=True)

    nats_keys: Path = Field(
        default=Path("/var/lib/k1/nats"), description="The folder of the keys of the bus, see nats_keys.py."
    )


class TlsSettings(BaseSettings):
    """K1_TLS and K1_TLS_NAMES: only the step that makes certificates is given them."""

    model_config = SettingsConfigDict(env_prefix="K1_", frozen=True)

    tls: Path = Field(default=Path("/var/lib/k1/tls"), description="The folder of certificates and keys.")
    tls_names: str = Field(
        default="localhost,127.0.0.1",
        description="Host names and addresses by which clients reach the servers, comma-separated.",
    )


class PostgresSettings(BaseSettings):
    """K1_POSTGRES_*."""

    model_config = SettingsConfigDict(env_prefix="K1_POSTGRES_", frozen=True)

    dsn: SecretStr = Field(
        default=SecretStr("postgresql://k1@127.0.0.1:5432/k1"), description="PostgreSQL URL with password."
    )
    pool_size: int = Field(default=10, ge=1, description="Most connections that one process holds.")


class MongoSettings(BaseSettings):
    """K1_MONGO_*."""

    model_config = SettingsConfigDict(env_prefix="K1_MONGO_", frozen=True)

    url: SecretStr = Field(default=SecretStr("mongodb://127.0.0.1:27017"), description="MongoDB URL.")
    database: str = Field(default="k1", description="The database that holds the maps.")


class ObjectStoreSettings(BaseSettings):
    """K1_S3_*."""

    model_config = SettingsConfigDict(env_prefix="K1_S3_", frozen=True)

    url: str = Field(default="http://127.0.0.1:9000", description="The S3 endpoint that services use.")
    public_url: str | None = Field(
        default=None, description="The endpoint in signed URLs, when browsers reach the store elsewhere."
    )
    access_key: SecretStr = Field(default=SecretStr(""), description="S3 access key.")
    secret_key: SecretStr = Field(default=SecretStr(""), description="S3 secret key.")
    bucket: str = Field(default="k1-songs", description="The bucket of songs and artefacts.")
    region: str = Field(default="us-east-1", description="The region that requests are signed for.")
    ca: Path | None = Field(
        default=None,
        description="The CA certificate (PEM) of an https endpoint; without it the system's own CAs count.",
    )


class SigningSettings(BaseSettings):
    """K1_SIGNING_KEYS: only the service that signs is given it."""

    model_config = SettingsConfigDict(env_prefix="K1_", frozen=True)

    signing_keys: Path = Field(
        default=Path("/var/lib/k1/keys"), description="The folder of the keys that sign bundles."
    )


class ObservabilitySettings(BaseSettings):
    """K1_LOG_LEVEL, and OpenTelemetry's own OTEL_* variables."""

    model_config = SettingsConfigDict(env_prefix="K1_", frozen=True)

    log_level: str = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR.")
    otlp_endpoint: str | None = Field(
        default=None,
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="Where traces go; nothing is exported when it is not set.",
    )


class HttpSettings(BaseSettings):
    """Each service inherits these with its own prefix, K1_<SERVICE>_."""

    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    port: int = Field(
        default=0, ge=0, le=65535, description="The port of HTTP, health and metrics; 0: a free one."
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
        description="How long a client may take nothing of an answer that waits for it, in seconds.",
    )
    idle_timeout_s: float = Field(
        default=75,
        gt=0,
        description="How long a connection is kept between two requests, in seconds; longer than a proxy before "
        "this service keeps it.",
    )
    tls_cert: Path | None = Field(
        default=None, description="Serve HTTPS with this certificate (PEM, with its chain) instead of HTTP."
    )
    tls_key: Path | None = Field(default=None, description="The private key of `tls_cert` (PEM).")

    @model_validator(mode="after")
    def _certificate_has_its_key(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key belong together: give both or neither")
        return self
