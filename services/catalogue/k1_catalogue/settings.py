"""The settings of the catalogue: environment variables that begin with K1_CATALOGUE_."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from k1_platform.settings import HttpSettings


class CatalogueSettings(HttpSettings):
    """Settings of the catalogue alone; the platform's settings name the servers."""

    model_config = SettingsConfigDict(env_prefix="K1_CATALOGUE_", frozen=True)

    consumers: int = Field(default=8, ge=1, description="Events that one process handles at a time.")
