"""The commands `k1 dlq ...`: dead letters, which are messages that could not be handled, and bad samples."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from k1_cli.checkout import DEFAULT_HOME
from k1_cli.commands.common import HomeOption, JsonOption
from k1_cli.errors import CommandError
from k1_cli.output.console import print_json, results
from k1_cli.output.formatting import count_of, field_lines

if TYPE_CHECKING:
    from nats.js import JetStreamContext

    from k1_platform.nats.dead_letters.queue import DeadLetter

ResultT = TypeVar("ResultT")

Number = Annotated[int, typer.Argument(help="The dead letter's number, as `k1 dlq list` shows it.", min=1)]
Quarantine = Annotated[
    bool, typer.Option("--quarantine", help="The bad samples of devices in place of the dead letters.")
]

app = typer.Typer(
    help="Messages that could not be handled: list, show, redrive, purge.", no_args_is_help=True
)


@app.command("list")
def list_all(
    quarantine: Quarantine = False, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False
) -> None:
    """List every dead letter with its reason, oldest first.

    Example: ./k1 dlq list
    """
    from k1_platform.nats.dead_letters.queue import list_dead_letters

    stream = _stream(quarantine=quarantine)
    letters = _with_jetstream(home, lambda jetstream: list_dead_letters(jetstream, stream=stream))
    if as_json:
        print_json({"total": len(letters), "items": [_to_json(letter) for letter in letters]})
        return
    if not letters:
        results.print("no bad samples" if quarantine else "no dead letters")
        return
    from k1_cli.output.table import TextTable

    table = TextTable(
        ("number", "at", "durable", "attempts", "code"),
        flexible=("durable", "code"),
        right_aligned=("number", "attempts"),
    )
    for letter in letters:
        cells = (letter.number, letter.at[:19], letter.durable, letter.attempts, letter.code)
        table.add(*map(str, cells), note=f"{letter.subject}: {letter.reason}")
    results.print(table)


@app.command()
def show(
    number: Number,
    quarantine: Quarantine = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show one dead letter with its headers and body.

    Example: ./k1 dlq show 3
    """
    from k1_platform.nats.dead_letters.queue import show_dead_letter

    stream = _stream(quarantine=quarantine)
    letter = _with_jetstream(home, lambda jetstream: show_dead_letter(jetstream, number, stream=stream))
    if as_json:
        print_json(_to_json(letter))
        return
    for line in field_lines(_to_json(letter)):
        results.print(line)


@app.command()
def redrive(
    number: Annotated[int | None, typer.Argument(help="The number of the dead letter.", min=1)] = None,
    every: Annotated[bool, typer.Option("--all", help="Every dead letter.")] = False,
    quarantine: Quarantine = False,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Send a dead letter again to the consumer that failed, and to no other.

    Example: ./k1 dlq redrive 3
    """
    from k1_platform.nats.dead_letters.queue import list_dead_letters, redrive_dead_letter

    _require_one_or_all(number, every=every)
    stream = _stream(quarantine=quarantine)

    async def work(jetstream: "JetStreamContext") -> int:
        letters = [] if number is not None else await list_dead_letters(jetstream, stream=stream)
        numbers = [letter.number for letter in letters] if number is None else [number]
        for each in numbers:
            await redrive_dead_letter(jetstream, each, stream=stream)
        return len(numbers)

    results.print(f"redriven: {count_of(_with_jetstream(home, work), 'dead letter')}")


@app.command()
def purge(
    number: Annotated[int | None, typer.Argument(help="The number of the dead letter.", min=1)] = None,
    every: Annotated[bool, typer.Option("--all", help="Every dead letter.")] = False,
    quarantine: Quarantine = False,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Delete a dead letter for good.

    Example: ./k1 dlq purge --all
    """
    from k1_platform.nats.dead_letters.queue import purge_dead_letters

    _require_one_or_all(number, every=every)
    stream = _stream(quarantine=quarantine)
    count = _with_jetstream(home, lambda jetstream: purge_dead_letters(jetstream, number, stream=stream))
    results.print(f"deleted: {count_of(count, 'dead letter')}")


def _require_one_or_all(number: int | None, *, every: bool) -> None:
    if (number is None) != every:
        raise typer.BadParameter("give one number, or --all")


def _stream(*, quarantine: bool) -> str:
    from k1_contracts import streams

    return streams.QUARANTINE if quarantine else streams.DEAD_LETTERS


def _with_jetstream(home: Path, operation: "Callable[[JetStreamContext], Awaitable[ResultT]]") -> ResultT:
    from k1_cli.stack.nats_client import connect_jetstream
    from k1_cli.stack.running_stack import require_stack
    from k1_platform.nats.dead_letters.queue import DeadLetterNotFoundError

    settings = require_stack(home).bus

    async def run() -> ResultT:
        async with connect_jetstream(settings) as jetstream:
            return await operation(jetstream)

    try:
        return asyncio.run(run())
    except DeadLetterNotFoundError as error:
        raise CommandError(str(error)) from error


def _to_json(letter: "DeadLetter") -> dict[str, Any]:
    return {**asdict(letter), "body": letter.body.decode(errors="replace")}
