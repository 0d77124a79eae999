"""Defines the settings of the telemetry service, read from the environment."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from k1_platform.settings import HttpSettings


class TelemetrySettings(HttpSettings):
    """Settings from the variables K1_TELEMETRY_*."""

    model_config = SettingsConfigDict(env_prefix="K1_TELEMETRY_")

    keep_days: int = Field(default=7, ge=1, description="How long samples and rollups are kept.")
    alarm_keep_days: int = Field(default=90, ge=1, description="How long cleared alarms are kept.")
