"""The commands `k1 test`, `k1 check`, `k1 soak` and `k1 doctor`."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from k1_cli.checkout import DEFAULT_HOME, ROOT, run_module
from k1_cli.commands.common import HomeOption, JsonOption
from k1_cli.output.console import messages, print_json, results

PASS_ARGUMENTS_ON: Final = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "help_option_names": ["--help"],
}

_WORKERS: Final = ("-n", "4")
_CHECKS: Final = {
    "ruff": ("ruff", "check", "."),
    "format": ("ruff", "format", "--check", "."),
    "types": ("pyright",),
    "test-types": ("pyright", "--project", "pyrightconfig.tests.json"),
    "imports": ("lint-imports",),
}


def test(context: typer.Context) -> None:
    """Run all tests but those in a browser, or those of the given paths; other arguments are passed to pytest.

    Those in a browser belong to `k1 web test`. Example: ./k1 test cli -k demo
    """
    from k1_cli.page_build import BROWSER_TESTS

    arguments = list(context.args)
    if not any((ROOT / argument.split("::")[0]).exists() for argument in arguments):
        arguments.append(f"--ignore={BROWSER_TESTS}")
        if "-n" not in arguments:
            arguments += _WORKERS
    raise typer.Exit(run_module("pytest", *arguments))


def soak(
    *,
    minutes: Annotated[float, typer.Option(min=0.1, help="How long the load lasts.")] = 3.0,
    seed: Annotated[int, typer.Option(min=0, help="The seed of all random choices; 0 for a new one.")] = 0,
    report: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write the report as JSON to this file.")
    ] = None,
) -> None:
    """Run a whole system under load while random processes are killed, then check that nothing was lost.

    Example: ./k1 soak --minutes 3 --report soak.json
    """
    arguments = ["--minutes", str(minutes), "--seed", str(seed)]
    arguments += ["--report", str(report.absolute())] if report is not None else []
    raise typer.Exit(run_module("tests.soak", *arguments))


def check() -> None:
    """Check lint, formatting, types, import rules and the bundle of the web page; show every failure.

    Example: ./k1 check
    """
    from k1_cli.page_build import check_bundle

    tools = Path(sys.executable).parent
    failed: list[str] = []
    for name, (program, *arguments) in _CHECKS.items():
        messages.print(f"k1: {name}", style="bold")
        if subprocess.run([str(tools / program), *arguments], cwd=ROOT, check=False).returncode != 0:
            failed.append(name)
    messages.print("k1: web", style="bold")
    if wrong := check_bundle():
        failed.append("web")
        for each in wrong:
            messages.print(each)
    if failed:
        messages.print(f"k1: failed: {', '.join(failed)}", style="red")
        raise typer.Exit(1)
    messages.print("k1: all checks passed")


def doctor(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Say what is wrong with this machine and how to fix it.

    Example: ./k1 doctor
    """
    from rich.text import Text

    from k1_cli.stack.doctor import examine

    findings = examine(home)
    if as_json:
        print_json({"healthy": all(f.ok for f in findings), "findings": [vars(f) for f in findings]})
    else:
        for finding in findings:
            mark = Text("ok", style="green") if finding.ok else Text("bad", style="red")
            results.print(mark, " " * (4 - len(mark)), finding.what, sep="")
            if not finding.ok:
                results.print(f"    {finding.remedy}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)
