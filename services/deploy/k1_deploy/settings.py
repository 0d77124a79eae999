"""What an operator may set; K1_DEPLOY_*."""

from pydantic_settings import SettingsConfigDict

from k1_platform.settings import HttpSettings


class DeploySettings(HttpSettings):
    """K1_DEPLOY_*."""

    model_config = SettingsConfigDict(env_prefix="K1_DEPLOY_", frozen=True)
