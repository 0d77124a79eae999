"""How an error reaches the person at the terminal: what is wrong, what to do, and where the details are."""

import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from typing import Any, Final

import typer

from k1_cli.errors import CommandError, ExplainedError
from k1_cli.output.console import messages
from k1_cli.output.hints import k1_command, typed_commands
from k1_cli.stack.embedded.errors import StackError

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def report(error: Exception, *, debug: bool) -> int:
    """Print the error in a sentence; return the exit code.

    The stack trace of an unexpected error goes to a file; `--debug` shows that of any error.
    """
    if isinstance(error, typer.TyperException):
        return _report_usage(error)
    if isinstance(error, BrokenPipeError):
        return _end_quietly()
    if debug:
        messages.print_exception()
    messages.print(f"k1: {typed_commands(_sentence(error))}", style="red")
    return 1


def _report_usage(error: typer.TyperException) -> int:
    context: Any = getattr(error, "ctx", None)
    if sentence := error.format_message():
        messages.print(f"k1: {sentence}", style="red")
        if context is not None:
            messages.print(f"`./{context.command_path} --help` explains the command")
    return error.exit_code


def _sentence(error: Exception) -> str:
    if isinstance(error, ExplainedError):
        return str(error)
    full = any(isinstance(cause, OSError) and cause.errno in _FULL for cause in _causes(error))
    if full:
        known = f"{error}; " if isinstance(error, CommandError | StackError) else ""
        return f"{known}the disk is full: free some space and try again; {k1_command('doctor')} tells how much there is"
    if isinstance(error, StackError):
        # Below the lines of a log that it quotes.
        return f"{error}\n{_doctor()}" if "\n" in str(error) else f"{error}; {_doctor()}"
    if isinstance(error, CommandError):
        return str(error)
    kept = _keep_trace(error)
    details = f"the details are in {kept}" if kept else "--debug shows the details"
    return f"something unexpected happened ({type(error).__name__}: {error}); {details}; {_doctor()}"


def _doctor() -> str:
    return f"{k1_command('doctor')} looks for what may be wrong with this machine"


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _keep_trace(error: Exception) -> str | None:
    """Write the stack trace to a file; return its path, or None where none can be written."""
    try:
        descriptor, path = tempfile.mkstemp(prefix="k1-error-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            traceback.print_exception(error, file=file)
    except OSError:
        return None
    return path


def _end_quietly() -> int:
    """Discard what is left of the output: its reader (`| head`) has ended."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    return 1
