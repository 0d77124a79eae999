"""Prints the error of a command: what is wrong, what to do, and where the details are."""

import os
import sys
import tempfile
import traceback
from typing import Any

import typer

from k1_cli.errors import CommandError, ExplainedError
from k1_cli.output.console import messages
from k1_cli.output.full_disk import describe_full_disk, is_full_disk
from k1_cli.output.hints import k1_command, rewrite_commands
from k1_cli.stack.embedded.errors import StackError


def report_error(error: Exception, *, debug: bool) -> int:
    """Print the error as a sentence and return the exit code.

    The stack trace of an unexpected error is written to a file; `--debug` prints that of any error.
    """
    if isinstance(error, typer.TyperException):
        return _report_usage(error)
    if isinstance(error, BrokenPipeError):
        return _discard_output()
    if debug:
        messages.print_exception()
    messages.print(f"k1: {rewrite_commands(_describe(error))}", style="red")
    return 1


def _report_usage(error: typer.TyperException) -> int:
    context: Any = getattr(error, "ctx", None)
    if sentence := error.format_message():
        messages.print(f"k1: {sentence}", style="red")
        if context is not None:
            messages.print(f"`./{context.command_path} --help` explains the command")
    return error.exit_code


def _describe(error: Exception) -> str:
    if isinstance(error, ExplainedError):
        return str(error)
    if is_full_disk(error):
        known = f"{error}; " if isinstance(error, CommandError | StackError) else ""
        return f"{known}{describe_full_disk()}"
    if isinstance(error, StackError):
        # On a line below a log that the message quotes.
        return f"{error}\n{_doctor_hint()}" if "\n" in str(error) else f"{error}; {_doctor_hint()}"
    if isinstance(error, CommandError):
        return str(error)
    trace = _write_trace(error)
    details = f"the details are in {trace}" if trace else "--debug shows the details"
    return f"something unexpected happened ({type(error).__name__}: {error}); {details}; {_doctor_hint()}"


def _doctor_hint() -> str:
    return f"{k1_command('doctor')} looks for what may be wrong with this machine"


def _write_trace(error: Exception) -> str | None:
    """Write the stack trace to a file and return its path, or None where it cannot be written."""
    try:
        descriptor, path = tempfile.mkstemp(prefix="k1-error-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            traceback.print_exception(error, file=file)
    except OSError:
        return None
    return path


def _discard_output() -> int:
    """Discard the rest of the output, because its reader (`| head`) has ended; return the exit code."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    return 1
