"""The commands `k1 sbom` and `k1 audit`: what the project consists of, and which vulnerabilities of it are known."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from k1_cli.checkout import ROOT
from k1_cli.output.console import messages
from k1_cli.page_build import SOURCES, npm_command

_TOOLS: Final = Path(sys.executable).parent
_LOCK: Final = ROOT / "requirements.lock"
_UNREACHED: Final = (
    *("could not be audited", "ConnectionError", "Max retries exceeded", "Name or service not known"),
    *("ENOTFOUND", "ECONNREFUSED", "EAI_AGAIN", "audit endpoint returned an error"),
)
"""What the tools say when the service that they ask cannot be reached or does not know a package."""


def sbom(
    file: Annotated[Path, typer.Argument(help="Where to write it.", dir_okay=False)] = Path("sbom.cdx.json"),
) -> None:
    """Write the bill of materials: every package of the lock, with version and hashes, as CycloneDX JSON.

    Example: ./k1 sbom sbom.cdx.json
    """
    command = [str(_TOOLS / "cyclonedx-py"), "requirements", str(_LOCK), "--pyproject", "pyproject.toml"]
    command += ["--output-reproducible", "--of", "JSON", "-o", str(file.absolute())]
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode == 0:
        messages.print(f"k1: wrote {file}")
    raise typer.Exit(done.returncode)


def audit() -> None:
    """Ask which packages of the lock and of the web page have known vulnerabilities; exit with 1 if any has.

    Exits with 2 where a service that knows them cannot be reached. Example: ./k1 audit
    """
    audits = {
        "Python": [str(_TOOLS / "pip-audit"), "-r", str(_LOCK), "--disable-pip", "--strict"],
        "web page": npm_command("audit", "--omit", "dev"),
    }
    worst = 0
    for name, command in audits.items():
        messages.print(f"k1: {name}", style="bold")
        worst = max(worst, _run_audit(name, command))
    raise typer.Exit(worst)


def _run_audit(name: str, command: list[str]) -> int:
    """Return 0 if nothing was found, 1 if something was, and 2 if that cannot be said."""
    done = subprocess.run(command, cwd=SOURCES, capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    if done.returncode == 0:
        messages.print(f"k1: {name}: no known vulnerability")
        return 0
    if any(each in output for each in _UNREACHED):
        messages.print(
            f"k1: {name} was not checked: no service that knows the vulnerabilities of all packages can be "
            "reached; try again with another network",
            style="red",
        )
        return 2
    messages.print(output, markup=False, highlight=False)
    return 1
