"""Prints to a console of the command line and returns the text, as on a terminal or through a pipe."""

from typing import Any

from k1_cli.output.console import LiteralConsole


def make_terminal(width: int = 80) -> LiteralConsole:
    """Return a console that writes as to a terminal of this width, without colours."""
    return LiteralConsole(width=width, force_terminal=True, color_system=None)


def print_to_terminal(*things: Any, width: int = 80, **options: Any) -> str:
    """Return what a terminal of this width shows."""
    return _print(make_terminal(width), things, options)


def print_to_pipe(*things: Any, width: int = 80) -> str:
    """Return what is written to a pipe."""
    return _print(LiteralConsole(width=width), things, {})


def _print(console: LiteralConsole, things: tuple[Any, ...], options: dict[str, Any]) -> str:
    with console.capture() as captured:
        for thing in things:
            console.print(thing, **options)
    return captured.get()
