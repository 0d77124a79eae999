"""The settings of the webhooks service: environment variables that begin with K1_WEBHOOKS_."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from k1_platform.settings import HttpSettings


class WebhooksSettings(HttpSettings):
    """Settings of the webhooks service alone; the platform's settings name the servers."""

    model_config = SettingsConfigDict(env_prefix="K1_WEBHOOKS_")

    key_file: Path = Field(
        default=Path("/var/lib/k1/webhooks/secret.key"),
        description="The key from which the secrets of all webhooks are derived; made at the first start. All "
        "processes of the service need the same file.",
    )
    allow_private: bool = Field(
        default=False,
        description="Whether webhooks may go to private and loopback addresses, and over plain http. Whoever may add a "
        "webhook can then reach every address that this service reaches.",
    )
    timeout_s: float = Field(default=15, gt=0, description="How long a receiver may take for one delivery.")
    at_once: int = Field(default=16, ge=1, description="Deliveries in progress in one process.")
    keep_days: int = Field(default=30, ge=1, description="How long ended deliveries are kept.")
