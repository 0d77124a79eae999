"""What an operator may set; K1_TELEMETRY_*."""

from pydantic_settings import SettingsConfigDict

from k1_platform.settings import HttpSettings


class TelemetrySettings(HttpSettings):
    """K1_TELEMETRY_*."""

    model_config = SettingsConfigDict(env_prefix="K1_TELEMETRY_", frozen=True)
