"""The settings of the gateway: environment variables K1_GATEWAY_*."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from k1_contracts.actors import Role
from k1_platform.settings import HttpSettings

LimitKind = Literal[
    "uploads",
    "parts",
    "analyses",
    "simulations",
    "edits",
    "deployments",
    "streams",
    "reads",
    "changes",
    "logins",
]
"""The kinds of requests that are counted apart."""


class Allowance(BaseModel):
    """How many requests of one kind one user may send, or one address without a user."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    per_minute: int = Field(gt=0)
    """The long-term rate."""
    burst: int = Field(gt=0)
    """Requests that may come at once after a pause."""
    at_once: int = Field(gt=0)
    """Requests in progress at the same time."""
    waiting: int = Field(default=0, ge=0)
    """Further requests that wait for a place, with their bodies unread."""
    wait_s: float = Field(default=30, gt=0)
    """How long a request waits for a place."""

    def times(self, factor: int) -> "Allowance":
        """Return the allowance of a caller who may send `factor` times as much."""
        if factor == 1:
            return self
        more = {name: getattr(self, name) * factor for name in ("per_minute", "burst", "at_once", "waiting")}
        return self.model_copy(update=more)


class OidcIssuer(BaseModel):
    """A trusted OpenID Connect issuer, whose tokens let machines in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str = Field(min_length=1)
    """`iss` of its tokens."""
    jwks_url: str = Field(pattern="^https?://")
    """Where it publishes its keys."""
    audience: str = Field(min_length=1)
    """`aud` that a token for this gateway must name."""
    role_claim: str = Field(default="roles", min_length=1)
    """The claim that holds roles or scopes, with dots between the names of nested objects."""
    roles: dict[str, Role]
    """Which value of the claim gives which role."""


def _split(value: Any) -> Any:
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


class GatewaySettings(HttpSettings):
    """The settings of the gateway."""

    model_config = SettingsConfigDict(env_prefix="K1_GATEWAY_")

    ingest_url: str = Field(
        default="http://127.0.0.1:8081", description="The URL of the ingest service, which receives uploads."
    )
    service_urls: dict[str, str] = Field(
        default_factory=dict,
        description='The other services whose readiness /api/v1/health reports: JSON, {"analysis": "http://..."}.',
    )
    services_ca: Path | None = Field(
        default=None,
        description="The CA certificate (PEM) of https:// addresses of services; without it those of the system are "
        "trusted.",
    )
    allowed_origins: frozenset[str] = Field(
        default=frozenset(),
        description='Web pages of other origins that may call the API: JSON, ["https://show.example"].',
    )
    allowed_hosts: Annotated[frozenset[str], NoDecode, BeforeValidator(_split)] = Field(
        default=frozenset(),
        description="Names of the gateway in the Host header, separated by commas, without ports. Names of the "
        "loopback interface, the address that a client connected to and K1_GATEWAY_HOST need not be named.",
    )
    auth: Literal["on", "off"] = Field(
        default="on",
        validation_alias="K1_AUTH",
        description="Whether callers must sign in. `off` makes everyone an administrator and is possible only while the "
        "gateway listens on loopback.",
    )
    public_url: str | None = Field(
        default=None,
        description="The address at which browsers reach the gateway, where a proxy ends TLS before it: with https:// "
        "cookies are sent over TLS only.",
    )
    oidc_issuers: list[OidcIssuer] = Field(
        default_factory=list[OidcIssuer],
        description="Issuers whose bearer tokens let machines in: JSON, a list of objects with issuer, jwks_url, "
        "audience, role_claim and roles (an object: value of the claim -> role).",
    )
    limit_uploads: Allowance = Field(
        default=Allowance(per_minute=20, burst=100, at_once=6, waiting=100),
        description="Uploads that one user may send: JSON, see the field's default. The others likewise.",
    )
    limit_parts: Allowance = Field(
        default=Allowance(per_minute=600, burst=600, at_once=6, waiting=100),
        description="Requests with a part of a resumable upload.",
    )
    limit_analyses: Allowance = Field(
        default=Allowance(per_minute=10, burst=60, at_once=10), description="Analyses of known tracks."
    )
    limit_simulations: Allowance = Field(
        default=Allowance(per_minute=30, burst=30, at_once=2, waiting=8), description="Simulations of graphs."
    )
    limit_edits: Allowance = Field(
        default=Allowance(per_minute=120, burst=120, at_once=4, waiting=16), description="Edits of graphs."
    )
    limit_deployments: Allowance = Field(
        default=Allowance(per_minute=30, burst=60, at_once=4, waiting=16),
        description="New deployments, dry runs too. Cancelling and rolling back are never limited.",
    )
    limit_streams: Allowance = Field(
        default=Allowance(per_minute=600, burst=600, at_once=50), description="Open streams of events."
    )
    limit_loopback_factor: int = Field(
        default=20, ge=1, description="How many times as much callers on this machine may send."
    )
    limit_reads: Allowance = Field(
        default=Allowance(per_minute=600, burst=300, at_once=50, waiting=100),
        description="Requests that change nothing, other than streams.",
    )
    limit_changes: Allowance = Field(
        default=Allowance(per_minute=100, burst=100, at_once=16, waiting=64), description="All other changes."
    )
    limit_logins: Allowance = Field(
        default=Allowance(per_minute=30, burst=30, at_once=8, waiting=16),
        description="Attempts to sign in, and API keys that are not known yet, of one address.",
    )

    @property
    def secure_cookies(self) -> bool:
        """Return whether browsers reach the gateway over TLS."""
        return self.tls_cert is not None or (self.public_url or "").startswith("https://")

    @model_validator(mode="after")
    def _auth_is_off_on_loopback_only(self) -> Self:
        if self.auth == "off" and not _is_loopback(self.host):
            raise ValueError(
                f"K1_AUTH=off lets everyone in who reaches the gateway, and it listens on {self.host}; "
                "let it listen on 127.0.0.1, or leave K1_AUTH out"
            )
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
