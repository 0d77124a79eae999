"""Turns hellos and alarms of devices into signals for the deployments that they may concern."""

from dataclasses import dataclass

from k1_contracts.durables import DEPLOY
from k1_contracts.messages.deploy.device_link import DeviceHello
from k1_contracts.messages.telemetry import DeviceAlarm
from k1_deploy.devices import device_store
from k1_deploy.devices.device_store import DeviceRow
from k1_deploy.orchestration.storage import deployment_store, signal_store
from k1_deploy.saga.signals import AlarmSignal, HelloSignal
from k1_platform.nats.streams.consumers import Delivery
from k1_platform.postgres.inbox import mark_handled
from k1_platform.postgres.pool import Pool


@dataclass(frozen=True, slots=True)
class SignalIntake:
    """Adds signals; the saga decides what they mean."""

    pool: Pool

    async def handle_hello(self, device: DeviceRow, hello: DeviceHello) -> None:
        """Signal that a device does not run the bundle that its deployment has activated."""
        running = hello.active.bundle_sha256 if hello.active else None
        async with self.pool.acquire() as connection, connection.transaction():
            deployment_id = await deployment_store.find_diverged_deployment(connection, device.id, running)
            if deployment_id and device.hello_at:
                signal = HelloSignal(device_id=device.id, said_at=device.hello_at)
                await signal_store.add_signal(connection, deployment_id, signal)

    async def handle_alarm(self, event: Delivery[DeviceAlarm]) -> None:
        """Add a signal to each open deployment of the device, for a severe alarm that was raised."""
        alarm = event.body
        if alarm.state != "raised" or (alarm.level != "alarm" and alarm.kind != "silence"):
            return
        signal = AlarmSignal(
            device_id=alarm.device_id, alarm=alarm.kind, reason=alarm.reason, raised_at=alarm.at
        )
        async with self.pool.acquire() as connection, connection.transaction():
            if not await mark_handled(connection, device_store.SCHEMA, DEPLOY.name, event.envelope.id):
                return
            for deployment_id in await deployment_store.find_open_deployments(connection, alarm.device_id):
                await signal_store.add_signal(connection, deployment_id, signal)
