"""Follows the readings of a device: sparklines on a terminal, a line for each second elsewhere, JSON for a script."""

import json
import sys
import time
from collections.abc import Generator
from contextlib import closing
from typing import Final

from rich.console import RenderableType
from rich.live import Live
from rich.text import Text

from k1_cli.api.client import GatewayClient
from k1_cli.errors import CommandError
from k1_cli.output.console import print_json, results
from k1_cli.telemetry.sparklines import ReadingHistory, reading_line
from k1_contracts.messages.telemetry import LiveSample

_REFRESHES: Final = 4.0
_PATIENCE_S: Final = 60.0
_PAUSE_S: Final = 0.5


def follow_device(gateway: GatewayClient, device_id: str, *, as_json: bool) -> None:
    """Show the readings until Ctrl-C.

    Raises:
        CommandError: the gateway does not come back.
    """
    if as_json or not results.is_terminal:
        _print_readings(gateway, device_id, as_json=as_json)
        return
    history, newest_s = ReadingHistory(), time.monotonic()

    def picture() -> RenderableType:
        title = history.title(device_id, time.monotonic() - newest_s)
        return Text("\n".join([title, *history.lines(results.width)]), no_wrap=True, overflow="ellipsis")

    with Live(get_renderable=picture, console=results, refresh_per_second=_REFRESHES):
        for sample in _samples(gateway, device_id):
            history.add(sample)
            newest_s = time.monotonic()


def _print_readings(gateway: GatewayClient, device_id: str, *, as_json: bool) -> None:
    second = None
    for sample in _samples(gateway, device_id):
        if as_json:
            print_json(json.loads(sample.to_json()))
        elif sample.timestamp.replace(microsecond=0) != second:
            second = sample.timestamp.replace(microsecond=0)
            results.print(reading_line(sample))
        sys.stdout.flush()


def _samples(gateway: GatewayClient, device_id: str) -> Generator[LiveSample]:
    """Yield the readings of one stream after another, because a gateway that restarts ends its streams."""
    lost_until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            with closing(gateway.events("/events/stream", topics=f"device:{device_id}")) as stream:
                for _, body in stream:
                    lost_until = time.monotonic() + _PATIENCE_S
                    event = json.loads(body)
                    if event.get("type") == "device.reading":
                        yield LiveSample.model_validate(event["data"])
        except ConnectionError as error:
            if time.monotonic() > lost_until:
                raise CommandError(f"the gateway stays away: {error}; try again later") from error
        time.sleep(_PAUSE_S)
