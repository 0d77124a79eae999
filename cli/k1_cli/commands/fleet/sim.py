"""The command `k1 sim`: runs simulated K1s on a stack."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from k1_cli.checkout import DEFAULT_HOME
from k1_cli.commands.common import HomeOption


class SimulatedTransport(StrEnum):
    """The protocol of the devices."""

    NATS = "nats"
    MQTT = "mqtt"


def sim(
    *,
    devices: Annotated[int, typer.Option(min=1, max=10_000, help="The number of devices.")] = 5,
    transport: Annotated[SimulatedTransport, typer.Option(help="Their protocol.")] = SimulatedTransport.NATS,
    faults: Annotated[
        Path | None, typer.Option(help="The faults to inject: a YAML file, see docs/device-link.md.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same readings and faults.")] = 0,
    prefix: Annotated[str, typer.Option(help="Their ids are <prefix>-0001 and so on.")] = "k1-sim",
    group: Annotated[str | None, typer.Option(help="The group of devices that are added.")] = None,
    factory: Annotated[
        bool, typer.Option("--factory", help="At their first start they play a factory show.")
    ] = False,
    renew: Annotated[
        bool,
        typer.Option(
            "--renew", help="Take over existing devices of these names: their old credentials become invalid."
        ),
    ] = False,
    credentials: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Run the devices whose files `k1 devices add --out FOLDER` wrote; the stack may be on another machine.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each change.")] = False,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Run simulated K1s until Ctrl-C; unknown ones are added, and all keep their contents for the next run.

    Example: ./k1 sim --devices 10 --faults faults.yaml
    """
    from k1_cli.simulator.fleet_runner import FleetOptions, run_devices

    options = FleetOptions(
        devices,
        transport.value,
        faults,
        seed,
        prefix,
        group,
        factory=factory,
        renew=renew,
        credentials=credentials,
    )
    run_devices(home, options, as_json=as_json)
