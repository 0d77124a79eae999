"""Tests `k1 audit` with tools that print what pip-audit and npm print."""

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from k1_cli.checkout import ROOT
from k1_cli.commands.development import supply

FLAW = {"id": "PYSEC-2026-1", "fix_versions": ["3.0"], "description": "a flaw"}
CLEAN_PYTHON = {"dependencies": [{"name": "aiohttp", "version": "3.14", "vulns": []}], "fixes": []}
FLAWED_PYTHON = {"dependencies": [{"name": "aiohttp", "version": "2.0", "vulns": [FLAW]}]}
SKIPPED_PYTHON = {
    "dependencies": [*CLEAN_PYTHON["dependencies"], {"name": "essentia", "skip_reason": "not found on PyPI"}]
}
CLEAN_PAGE = {"auditReportVersion": 2, "vulnerabilities": {}}
FLAWED_PAGE = {"vulnerabilities": {"vite": {"name": "vite", "range": "<8", "severity": "high"}}}
UNREACHED_PAGE = {"message": "request to the registry failed", "error": {"summary": "", "detail": ""}}
CRASHED = None


@pytest.fixture
def audit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Any, Any], int]:
    """Runs `k1 audit` with tools that print these reports; returns its exit status."""

    def run(python: Any, page: Any) -> int:
        report = "" if python is None else json.dumps(python)
        tool = tmp_path / "pip-audit"
        tool.write_text(
            f"#!/bin/sh\nprintf %s {shlex.quote(report)}\n[ -n {shlex.quote(report)} ] && exit 1\n"
            "echo Traceback >&2; echo 'ConnectionError: no such host' >&2; exit 1\n"
        )
        tool.chmod(0o755)
        monkeypatch.setattr(supply, "_TOOLS", tmp_path)
        printing = [sys.executable, "-c", f"print({json.dumps(page)!r})"]
        monkeypatch.setattr(supply, "npm_command", lambda *_: printing)
        with pytest.raises(typer.Exit) as ended:
            supply.audit()
        return ended.value.exit_code

    return run


@pytest.mark.parametrize(
    ("python", "page", "status", "said"),
    [
        (CLEAN_PYTHON, CLEAN_PAGE, 0, "Python: no known vulnerability"),
        (FLAWED_PYTHON, CLEAN_PAGE, 1, "aiohttp 2.0: PYSEC-2026-1, mended in 3.0"),
        (FLAWED_PYTHON, UNREACHED_PAGE, 1, "aiohttp 2.0"),
        (CRASHED, FLAWED_PAGE, 1, "vite <8: high"),
        (SKIPPED_PYTHON, CLEAN_PAGE, 2, "essentia: not found on PyPI"),
        (CRASHED, CLEAN_PAGE, 2, "the audit did not end: ConnectionError"),
        (CLEAN_PYTHON, UNREACHED_PAGE, 2, "web page: not checked"),
    ],
)
def test_audit(
    *, audit: Any, capsys: pytest.CaptureFixture[str], python: Any, page: Any, status: int, said: str
) -> None:
    """A known vulnerability counts for more than a service that could not be asked; neither passes for clean."""
    assert audit(python, page) == status
    assert said in " ".join(capsys.readouterr().err.split())


@pytest.mark.long
def test_sbom_names_every_package_of_the_lock(tmp_path: Path) -> None:
    """As CycloneDX, with the hashes of the lock."""
    file = tmp_path / "sbom.json"
    with pytest.raises(typer.Exit) as ended:
        supply.sbom(file)
    assert ended.value.exit_code == 0
    document = json.loads(file.read_text())
    lock = (ROOT / "requirements.lock").read_text()
    names = {line.partition("==")[0] for line in lock.splitlines() if "==" in line and line[0].isalnum()}
    assert document["bomFormat"] == "CycloneDX"
    assert names <= {component["name"] for component in document["components"]}
