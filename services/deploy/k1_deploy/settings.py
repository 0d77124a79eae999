"""What an operator may set; K1_DEPLOY_*."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from k1_platform.settings import HttpSettings


class DeploySettings(HttpSettings):
    """What can be set for deploy alone; servers are named by the platform's settings."""

    model_config = SettingsConfigDict(env_prefix="K1_DEPLOY_", frozen=True)

    consumers: int = Field(
        default=16, ge=1, description="Hellos of devices that one process handles at a time."
    )
    nats_keys: Path | None = Field(
        default=None,
        description="The folder of the keys that mint and revoke devices' credentials, `deploy/` of those of the bus; "
        "without it devices cannot be added or revoked.",
    )
    lease_seconds: float = Field(
        default=5.0,
        ge=1,
        description="How long a process that has died or stalled keeps its deployments, before another goes on with them; "
        "too short, and a machine that is busy loses them too.",
    )
    guard_seconds: float = Field(
        default=600.0,
        ge=0,
        description="How long after a success drift rolls a device back and the bundle before is kept on it.",
    )
