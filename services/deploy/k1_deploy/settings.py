"""The settings of deploy, from the environment: K1_DEPLOY_*."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from k1_contracts.messages.deploy.devices import DeviceServers
from k1_platform.settings import HttpSettings


class DeploySettings(HttpSettings):
    """The settings of deploy alone; the platform's settings name the servers."""

    model_config = SettingsConfigDict(env_prefix="K1_DEPLOY_")

    consumers: int = Field(
        default=16, ge=1, description="Hellos of devices that one process handles at a time."
    )
    nats_keys: Path | None = Field(
        default=None,
        description="The folder of the keys that mint and revoke devices' credentials, `deploy/` of those of the bus; "
        "without it devices cannot be added or revoked.",
    )
    device_nats_url: str | None = Field(
        default=None, description="Where devices reach NATS, tls://HOST:PORT; sent with each credential."
    )
    device_mqtt_url: str | None = Field(
        default=None, description="Where devices reach MQTT, mqtts://HOST:PORT; sent with each credential."
    )
    device_ca: Path | None = Field(
        default=None,
        description="The CA certificate (PEM) that devices have to trust there; sent with each credential.",
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

    keep_days: float = Field(
        default=30,
        gt=0,
        description="How long deployments that have ended are kept with their logs; the newest of each device always.",
    )

    def device_servers(self) -> DeviceServers:
        """Return what is installed on a device beside its credential.

        Raises:
            OSError: the CA's certificate cannot be read.
        """
        return DeviceServers(
            nats_url=self.device_nats_url,
            mqtt_url=self.device_mqtt_url,
            ca=None if self.device_ca is None else self.device_ca.read_text(encoding="ascii"),
        )
