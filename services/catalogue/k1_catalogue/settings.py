"""K1_CATALOGUE_*."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from k1_platform.settings import HttpSettings


class CatalogueSettings(HttpSettings):
    """What can be set for the catalogue alone; servers are named by the platform's settings."""

    model_config = SettingsConfigDict(env_prefix="K1_CATALOGUE_", frozen=True)

    consumers: int = Field(default=8, ge=1, description="Facts that one process handles at a time.")
