"""`device.alarm`: the deployments that watch the device are told; what it means to each, its saga decides."""

from dataclasses import dataclass

from k1_contracts.devices import DeviceAlarm
from k1_deploy import device_store, mailbox
from k1_deploy.requests import CONSUMER
from k1_deploy.saga.signals import AlarmSignal
from k1_platform.consuming import Event
from k1_platform.database import Pool
from k1_platform.inbox import first_time


@dataclass(frozen=True, slots=True)
class Alarms:
    """Passes on what is grave and has just begun."""

    pool: Pool

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
