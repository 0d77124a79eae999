"""Renders what `k1 status` found as tables."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from k1_cli.output.formatting import count_of
from k1_cli.output.table import Grid
from k1_cli.stack.status import StackStatus


def status_tables(url: str, found: StackStatus) -> Iterator[RenderableType]:
    """Yield the address, servers and services, consumers, dead letters."""
    yield url
    parts = Grid(("", "pid", "port", "ready", "version"), right=("pid", "port"))
    for part in found.servers:
        parts.add(part.name, str(part.pid or ""), str(part.port or "socket"), _yes_or_no(part.ready), "")
    for part in found.services:
        parts.add(part.name, str(part.pid or ""), str(part.port), _yes_or_no(part.ready), part.version or "")
    for devices in found.simulated:
        name = count_of(devices.devices, "simulated K1")
        parts.add(name, str(devices.pid or ""), "", _yes_or_no(devices.running), "")
    yield parts
    yield ""
    consumers = Grid(
        ("stream", "durable", "waiting", "in work"),
        flexible=("stream", "durable"),
        right=("waiting", "in work"),
    )
    for consumer in found.consumers:
        consumers.add(consumer.stream, consumer.durable, str(consumer.pending), str(consumer.ack_pending))
    yield consumers
    yield f"dead letters: {'unknown' if found.dead_letters is None else found.dead_letters}"


def _yes_or_no(ready: bool) -> Text:
    return Text("yes", style="green") if ready else Text("no", style="red")
