"""Renders the status of a stack as tables; for `k1 status`."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from k1_cli.output.formatting import count_of
from k1_cli.output.table import TextTable
from k1_cli.stack.status import StackStatus


def status_tables(url: str, found: StackStatus) -> Iterator[RenderableType]:
    """Yield the address, the servers and services, the consumers and the number of dead letters."""
    yield url
    parts = TextTable(("", "pid", "port", "ready", "version"), right_aligned=("pid", "port"))
    for part in found.servers:
        parts.add(part.name, str(part.pid or ""), str(part.port or "socket"), _yes_or_no(part.ready), "")
    for part in found.services:
        parts.add(part.name, str(part.pid or ""), str(part.port), _yes_or_no(part.ready), part.version or "")
    for devices in found.simulated:
        name = count_of(devices.devices, "simulated K1")
        parts.add(name, str(devices.pid or ""), "", _yes_or_no(devices.running), "")
    yield parts
    yield ""
    consumers = TextTable(
        ("stream", "durable", "waiting", "in work"),
        flexible=("stream", "durable"),
        right_aligned=("waiting", "in work"),
    )
    for consumer in found.consumers:
        consumers.add(consumer.stream, consumer.durable, str(consumer.pending), str(consumer.ack_pending))
    yield consumers
    yield f"dead letters: {'unknown' if found.dead_letters is None else found.dead_letters}"


def _yes_or_no(ready: bool) -> Text:
    return Text("yes", style="green") if ready else Text("no", style="red")
