"""The commands `k1 sbom` and `k1 audit`: what the project consists of, and which vulnerabilities of it are known."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from k1_cli.checkout import ROOT
from k1_cli.output.console import messages
from k1_cli.page_build import SOURCES, npm_command

_TOOLS: Final = Path(sys.executable).parent
_LOCK: Final = ROOT / "requirements.lock"
FOUND, UNCHECKED = 1, 2
"""The exit statuses of `k1 audit`."""


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


@dataclass(frozen=True, slots=True)
class Findings:
    """What an audit says: a line for each known vulnerability, and for each package that it could not check."""

    vulnerable: list[str]
    unchecked: list[str]


def audit() -> None:
    """Ask which packages of the lock and of the web page have known vulnerabilities; exit with 1 if any has.

    Exits with 2 where none is known, but a service that knows them could not be asked. Example: ./k1 audit
    """
    audits = {
        "Python": (
            [str(_TOOLS / "pip-audit"), "-r", str(_LOCK), "--disable-pip", "--format", "json"],
            python_findings,
        ),
        "web page": (npm_command("audit", "--omit", "dev", "--json"), page_findings),
    }
    statuses = [_run_audit(name, command, read) for name, (command, read) in audits.items()]
    raise typer.Exit(FOUND if FOUND in statuses else max(statuses))


def _run_audit(name: str, command: list[str], read: Callable[[Any], Findings]) -> int:
    """Run an audit, print what it says, and return its exit status."""
    messages.print(f"k1: {name}", style="bold")
    done = subprocess.run(command, cwd=SOURCES, capture_output=True, text=True, check=False)
    try:
        findings = read(json.loads(done.stdout))
    except (ValueError, LookupError, TypeError, AttributeError):
        last = next(iter((done.stderr or done.stdout).strip().splitlines()[-1:]), "it printed nothing")
        findings = Findings([], [f"the audit did not end: {last}"])
    for line in (*findings.vulnerable, *findings.unchecked):
        messages.print(f"  {line}", markup=False, highlight=False)
    if findings.vulnerable:
        messages.print(f"k1: {name}: {len(findings.vulnerable)} known vulnerabilities", style="red")
        return FOUND
    if findings.unchecked:
        messages.print(f"k1: {name}: not checked, see above; try again with another network", style="red")
        return UNCHECKED
    messages.print(f"k1: {name}: no known vulnerability")
    return 0


def python_findings(report: Any) -> Findings:
    """Read the report of pip-audit."""
    packages = report["dependencies"]
    return Findings(
        [
            f"{package['name']} {package['version']}: {found['id']}, mended in {', '.join(found['fix_versions']) or 'no version'}"
            for package in packages
            for found in package.get("vulns", [])
        ],
        [f"{package['name']}: {package['skip_reason']}" for package in packages if "skip_reason" in package],
    )


def page_findings(report: Any) -> Findings:
    """Read the report of npm; where it could not ask, it has no vulnerabilities but an error or a message."""
    packages = report["vulnerabilities"].values()
    return Findings(
        [f"{package['name']} {package['range']}: {package['severity']}" for package in packages], []
    )
