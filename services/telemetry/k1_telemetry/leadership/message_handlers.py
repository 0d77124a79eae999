"""Handles every message that only the leader consumes: readings, hellos and byes of devices.

`MessageHandlers.subscriptions` is the whole index. The handlers change the fleet and collect the effects; the
leader session publishes the effects afterwards.
"""

from collections.abc import Callable
from dataclasses import dataclass

from nats.aio.msg import Msg

from k1_contracts import subjects
from k1_contracts.durables import TELEMETRY_PRESENCE, TELEMETRY_SAMPLES, Durable
from k1_contracts.messages.deploy.device_link import DEVICE_ID
from k1_platform.nats.jetstream_api import delivery_info
from k1_telemetry.fleet.effects import Effects, RejectedMessage
from k1_telemetry.fleet.fleet import Fleet
from k1_telemetry.leadership.broker_clock import BrokerClock
from k1_telemetry.message_errors import check_bye

Handler = Callable[[Msg, Effects], None]


@dataclass(frozen=True)
class MessageHandlers:
    """Handles the messages of all devices for the leader."""

    fleet: Fleet
    clock: BrokerClock

    def subscriptions(self) -> tuple[tuple[Durable, Handler], ...]:
        """Return each durable that the leader consumes, with its handler."""
        return (
            (TELEMETRY_SAMPLES, self.handle_readings),  # telemetry.<id>
            (TELEMETRY_PRESENCE, self.handle_announcement),  # device.<id>.hello, device.<id>.bye
        )

    def handle_readings(self, message: Msg, effects: Effects) -> None:
        """Pass the readings of one message to the fleet."""
        if not TELEMETRY_SAMPLES.receives(message.subject):
            return
        device_id = subjects.original(message.subject).partition(".")[2]
        if not DEVICE_ID.fullmatch(device_id):
            self.fleet.counts.readings["malformed"] += 1
            return
        delivery = delivery_info(message)
        self.fleet.process_readings(
            device_id,
            message.data,
            delivery.arrived,
            effects,
            now=self.clock.now(),
            redelivered=delivery.number > 1,
        )

    def handle_announcement(self, message: Msg, effects: Effects) -> None:
        """Pass a hello or a bye to the fleet.

        The subject is enough: the broker lets a device publish only under its own id. `deploy` reads the hello.
        """
        _, device_id, announcement = subjects.original(message.subject).split(".")
        at = delivery_info(message).arrived
        if not DEVICE_ID.fullmatch(device_id):
            return
        if announcement == "bye":
            if check_bye(device_id, message.data):
                effects.rejected.append(RejectedMessage(device_id, announcement, message.data))
            self.fleet.process_bye(device_id, at, effects)
        else:
            self.fleet.process_hello(device_id, at, effects, now=self.clock.now())
