"""The index of what every telemetry process consumes and answers, whether it leads or not.

`leadership.message_handlers` is the index of what only the leader consumes.
"""

from typing import Final

from k1_contracts.durables import TELEMETRY_EVENTS
from k1_contracts.messages.alarms import ALARM_ACKNOWLEDGE, ALARM_LIST
from k1_contracts.messages.deploy.deployments import (
    DEPLOY_FAILED,
    DEPLOY_PROGRESSED,
    DEPLOY_ROLLED_BACK,
    DEPLOY_SUCCEEDED,
)
from k1_contracts.messages.drift import TRACK_DRIFT
from k1_contracts.messages.fleet import FLEET_GET
from k1_contracts.messages.telemetry import DEVICE_ALARM, DEVICE_OFFLINE, DEVICE_ONLINE
from k1_contracts.messages.telemetry_history import DEVICE_TELEMETRY, TRACK_TELEMETRY
from k1_platform.nats.bus.client import Bus
from k1_platform.nats.queries.rpc import QueryHandler, respond
from k1_platform.nats.streams.consumers import Handler, consume_table
from k1_platform.postgres.pool import TRANSIENT_ERRORS
from k1_telemetry.alarms.queries import AlarmQueries
from k1_telemetry.alarms.recorder import AlarmRecorder
from k1_telemetry.drift.drift_queries import DriftQueries
from k1_telemetry.fleet_figures import FleetFigures
from k1_telemetry.history.history_queries import HistoryQueries

_WORKERS: Final = 4


def consume_events(bus: Bus, recorder: AlarmRecorder, figures: FleetFigures) -> None:
    """Consume the events of devices and deployments on the durable `telemetry-events`."""
    handlers = [
        Handler(DEVICE_ALARM, recorder.handle_event),
        Handler(DEVICE_ONLINE, figures.handle_change),
        Handler(DEVICE_OFFLINE, figures.handle_change),
        Handler(DEPLOY_PROGRESSED, figures.handle_change),
        Handler(DEPLOY_SUCCEEDED, figures.handle_change),
        Handler(DEPLOY_ROLLED_BACK, figures.handle_change),
        Handler(DEPLOY_FAILED, figures.handle_change),
    ]
    consume_table(bus.broker, TELEMETRY_EVENTS, handlers, workers=_WORKERS)


def serve_queries(
    bus: Bus, alarms: AlarmQueries, figures: FleetFigures, history: HistoryQueries, drift: DriftQueries
) -> None:
    """Answer the queries of the gateway."""
    handlers = [
        QueryHandler(ALARM_LIST, alarms.list_alarms),
        QueryHandler(ALARM_ACKNOWLEDGE, alarms.acknowledge),
        QueryHandler(FLEET_GET, figures.get_fleet),
        QueryHandler(DEVICE_TELEMETRY, history.get_device),
        QueryHandler(TRACK_TELEMETRY, history.get_track),
        QueryHandler(TRACK_DRIFT, drift.get_drift),
    ]
    respond(bus.broker, handlers, transient=TRANSIENT_ERRORS)
