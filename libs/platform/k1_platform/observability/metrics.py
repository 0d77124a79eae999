"""Measures messages for Prometheus, with normalised subjects as labels.

Each concrete subject would be a separate label value: 200 devices gave 11,600 time series. Ids and device names are
replaced by `*`, so the number of series does not grow with use.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from faststream.message import StreamMessage
from faststream.nats.prometheus.provider import NatsMetricsSettingsProvider
from faststream.prometheus import ConsumeAttrs
from faststream.prometheus.middleware import PrometheusMiddleware
from faststream.prometheus.types import ProcessingStatus
from faststream.response import PublishCommand
from nats.aio.msg import Msg
from prometheus_client import CollectorRegistry
from typing_extensions import override

_ID_TOKEN: Final = re.compile(r"\.(?:trk|job|dep|art|upl|evt|wrk)_[0-9A-Z]{26}")
_DEVICE_TOKEN: Final = re.compile(r"^(telemetry|command|device)\.[^.]+")


def normalise_subject(subject: str) -> str:
    """Return the subject with ids and device names replaced by `*`."""
    if subject.startswith("_INBOX."):
        return "_INBOX.*"
    if subject.startswith("redrive."):
        return "redrive.*"
    return _DEVICE_TOKEN.sub(r"\1.*", _ID_TOKEN.sub(".*", subject))


class _NormalisedSubjects(NatsMetricsSettingsProvider):
    @override
    def get_consume_attrs_from_message(self, msg: StreamMessage[Msg]) -> ConsumeAttrs:
        attributes = super().get_consume_attrs_from_message(msg)
        attributes["destination_name"] = normalise_subject(attributes["destination_name"])
        return attributes

    @override
    def get_publish_destination_name_from_cmd(self, cmd: PublishCommand) -> str:
        return normalise_subject(cmd.destination)


def _provider(_: Msg | Sequence[Msg] | None) -> Any:
    return _NormalisedSubjects()


class BusMetrics(PrometheusMiddleware[Any, Any]):
    """The metrics middleware of FastStream, with normalised subjects, and the same metrics for what goes past it."""

    def __init__(self, registry: CollectorRegistry, service: str) -> None:
        super().__init__(
            settings_provider_factory=_provider, registry=registry, app_name=service, metrics_prefix="k1_bus"
        )

    def observe_query(self, subject: str, size: int, duration_s: float) -> None:
        """Count a query that was answered, and its time; the subjects of queries hold no ids."""
        labels = {"broker": "nats", "handler": subject}
        manager = self._metrics_manager
        manager.add_received_message(amount=1, **labels)
        manager.observe_received_messages_size(size=size, **labels)
        manager.observe_received_processed_message_duration(duration=duration_s, **labels)
        manager.add_received_processed_message(amount=1, status=ProcessingStatus.acked, **labels)
