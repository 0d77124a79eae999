"""What an operator may set; K1_GATEWAY_*."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from k1_platform.settings import HttpSettings


class GatewaySettings(HttpSettings):
    """K1_GATEWAY_*."""

    model_config = SettingsConfigDict(env_prefix="K1_GATEWAY_", frozen=True)

    ingest_url: str = Field(
        default="http://127.0.0.1:8081", description="Where uploads are passed on to: the ingest service."
    )
    service_urls: dict[str, str] = Field(
        default_factory=dict,
        description='The other services whose readiness /api/v1/health tells: JSON, {"analysis": "http://..."}.',
    )
    allowed_origins: frozenset[str] = Field(
        default=frozenset(),
        description='Web pages of other origins that may call the API: JSON, ["https://show.example"].',
    )
