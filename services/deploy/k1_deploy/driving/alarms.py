"""What becomes known of devices: the deployments that watch them are told, and decide what it means."""

from dataclasses import dataclass

from k1_contracts.messages.device_link import DeviceHello
from k1_contracts.messages.telemetry import DeviceAlarm
from k1_deploy.devices import device_store
from k1_deploy.devices.device_store import DeviceRow
from k1_deploy.driving import mailbox
from k1_deploy.requests import CONSUMER
from k1_deploy.saga.signals import AlarmSignal, HelloSignal
from k1_platform.consuming import Event
from k1_platform.database import Pool
from k1_platform.inbox import first_time


@dataclass(frozen=True, slots=True)
class Alarms:
    """Passes on what is grave and has just begun."""

    pool: Pool

    async def heard(self, device: DeviceRow, hello: DeviceHello) -> None:
        """A hello of a device that should run the new bundle and does not: whoever observes it must know."""
        running = hello.active.bundle_sha256 if hello.active else None
        async with self.pool.acquire() as connection, connection.transaction():
            deployment_id = await mailbox.strayed_from(connection, device.id, running)
            if deployment_id and device.hello_at:
                signal = HelloSignal(device_id=device.id, said_at=device.hello_at)
                await mailbox.add_signal(connection, deployment_id, signal)

    async def raised(self, event: Event[DeviceAlarm]) -> None:
        """Leave a signal with each deployment that has not closed."""
        alarm = event.body
        if alarm.state != "raised" or (alarm.level != "alarm" and alarm.kind != "silence"):
            return
        signal = AlarmSignal(
            device_id=alarm.device_id, alarm=alarm.kind, reason=alarm.reason, raised_at=alarm.at
        )
        async with self.pool.acquire() as connection, connection.transaction():
            if not await first_time(connection, device_store.SCHEMA, CONSUMER, event.envelope.id):
                return
            for deployment_id in await mailbox.watching(connection, alarm.device_id):
                await mailbox.add_signal(connection, deployment_id, signal)
