"""Writes the logs of every process as JSON with trace ids."""

import logging
import sys
from datetime import UTC, datetime
from typing import Final

from opentelemetry import trace

from k1_contracts.base import rfc3339
from k1_contracts.escaping import to_safe_json

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class JsonFormatter(logging.Formatter):
    """Formats each record as one line of JSON that is safe to show in a terminal; `extra={...}` becomes fields."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        context = trace.get_current_span().get_span_context()
        entry: dict[str, object] = {
            "at": rfc3339(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if context.is_valid:
            entry |= {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
        entry |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return to_safe_json(entry, default=str)


def configure_logging(service: str, level: str) -> None:
    """Write the records of all loggers to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Their lines for each HTTP request or exported span repeat what the metrics contain.
    for chatty in ("aiohttp.access", "urllib3", "faststream"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
