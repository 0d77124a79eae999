"""The commands `k1 telemetry` and `k1 drift`: what devices measured, and where they lose the beat of a song."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

from pathlib import Path
from typing import Annotated, Any

import typer

from k1_cli.checkout import DEFAULT_HOME
from k1_cli.commands.common import HomeOption, JsonOption, TrackArgument, VersionOption, open_gateway
from k1_cli.output.console import print_json

_MONTH_S = 31 * 24 * 3600
LastOption = Annotated[
    int | None, typer.Option(min=1, max=_MONTH_S, help="The last so many seconds.", metavar="SECONDS")
]


def telemetry(
    device: Annotated[
        str,
        typer.Argument(help="The device: its id, or a prefix of it.", metavar="DEVICE", show_default=False),
    ],
    *,
    follow: Annotated[
        bool, typer.Option("--follow", help="Show the readings live as sparklines, until Ctrl-C.")
    ] = False,
    last: LastOption = None,
    step: Annotated[
        float | None,
        typer.Option(min=0.1, max=86_400, help="Seconds that one point covers.", metavar="SECONDS"),
    ] = None,
    png: Annotated[Path | None, typer.Option(help="Draw the charts, to this PNG file.")] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show the stored telemetry of a device, by default of the last 15 minutes, or follow it.

    Example: ./k1 telemetry k1-01 --last 3600 --png chart.png
    """
    from k1_cli.api.lookup import find_device
    from k1_cli.telemetry.follow import follow_device
    from k1_contracts.messages.telemetry_history import TelemetrySeries

    if follow and (last is not None or step is not None or png is not None):
        raise typer.BadParameter("--follow shows what comes; leave --last, --step and --png out")
    with open_gateway(home) as gateway:
        device_id = find_device(gateway, device)["id"]
        if follow:
            follow_device(gateway, device_id, as_json=as_json)
            return
        document = gateway.request("GET", f"/telemetry/{device_id}", params=_given(last=last, step=step))
    found = TelemetrySeries.model_validate(document)
    if png is not None:
        from k1_cli.output.files import write_output
        from k1_cli.telemetry.charts import draw_series

        write_output(png, draw_series(found, device_id))
    if as_json:
        print_json(document)
    elif png is None:
        from k1_cli.telemetry.texts import print_series

        print_series(found)


def drift(
    track: TrackArgument,
    *,
    version: VersionOption = None,
    last: LastOption = None,
    png: Annotated[Path | None, typer.Option(help="Draw the drift along the song, to this PNG file.")] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show where devices lose the beat of a song, by section, and what to do about it.

    Example: ./k1 drift "Night Drive" --png drift.png
    """
    from k1_cli.api.lookup import find_track, song_title
    from k1_contracts.messages.drift import TrackDrift

    with open_gateway(home) as gateway:
        track_id = find_track(gateway, track)
        query = _given(version=version, last=last)
        document = gateway.request("GET", f"/tracks/{track_id}/drift", params=query)
        title = song_title(gateway, track_id)
    found = TrackDrift.model_validate(document)
    if png is not None:
        from k1_cli.output.files import write_output
        from k1_cli.telemetry.charts import draw_drift

        write_output(png, draw_drift(found, title))
    if as_json:
        print_json(document)
    elif png is None:
        from k1_cli.telemetry.texts import print_drift

        print_drift(found, title)


def _given(**options: float | None) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
