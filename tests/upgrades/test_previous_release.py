"""The services of the release before run on the schema and the bus of this one, as they do during a rolling upgrade.

It starts two sets of services, so it belongs to `./k1 test --long`.
"""

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from k1_cli.checkout import ROOT
from k1_cli.stack.embedded.embedded_stack import EmbeddedStack
from k1_cli.stack.migrations import MODULES
from k1_cli.stack.services import SERVICE_NAMES
from k1_platform.auth.signing import ensure_key
from tests.support import songs
from tests.support.service_process import RunningService, running_service
from tests.support.waiting import wait_until

pytestmark = pytest.mark.long
PREVIOUS: Final = os.environ.get("K1_TEST_PREVIOUS", "9f6fd81a53d06e69031b9df5d561585fa9a5a353")
"""The commit of the release before; until there is a release, one that ran before migrations were added."""
PACKAGES: Final = ("libs", "services", "simulator", "cli")
BYTECODE: Final = "bytecode"
"""The folder that gets the bytecode of whatever is imported from the release before."""


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the sources of the release before."""
    folder = tmp_path_factory.mktemp("previous")
    archive = subprocess.run(
        ["git", "archive", PREVIOUS, *PACKAGES], cwd=ROOT, capture_output=True, check=False
    )
    if archive.returncode:
        pytest.skip(f"the commit {PREVIOUS} is not in this clone: git fetch --unshallow")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def servers(previous: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Run servers with the streams, schemas and keys of this release; return the environment of services."""
    folder = tmp_path_factory.mktemp("servers")
    with EmbeddedStack(folder / "home") as stack:
        environment = stack.urls.environment()
        keys = {
            "K1_SIGNING_KEYS": str(folder / "keys"),
            "K1_DEPLOY_NATS_KEYS": str(stack.urls.nats_keys.deploy),
            "K1_ACCOUNTS_KEYS": str(folder / "account-keys"),
            "K1_ACCOUNTS_SMTP_HOST": "127.0.0.1",
            "K1_WEBHOOKS_KEY_FILE": str(folder / "secret.key"),
            "K1_AUTH": "off",
        }
        (folder / "keys").mkdir(mode=0o700)
        ensure_key(folder / "keys")
        for module in ("k1_platform.provision", *MODULES):
            subprocess.run([sys.executable, "-m", module], env={**os.environ, **environment}, check=True)
        credentials = {
            f"credentials of {name}": str(stack.urls.nats_keys.service_credentials(name))
            for name in SERVICE_NAMES
        }
        yield {**environment, **keys, **credentials}


@contextmanager
def running(
    servers: dict[str, str], name: str, folder: Path, previous: Path | None = None
) -> Iterator[RunningService]:
    """Run a service of this release, or of the one before from its sources in `previous`."""
    own = {name: value for name, value in servers.items() if name.startswith("K1_")}
    own |= {"K1_NATS_CREDS": servers[f"credentials of {name}"]}
    packages: list[Path] = []
    if previous is not None:
        packages = [file.parent for kind in PACKAGES for file in (previous / kind).glob("**/pyproject.toml")]
        own |= {"PYTHONPYCACHEPREFIX": str(previous / BYTECODE), "PYTHONDONTWRITEBYTECODE": ""}
    with running_service(name, own, folder, packages=packages) as service:
        yield service


def imported_from(previous: Path) -> set[str]:
    """Return the services that were imported from the sources of the release before."""
    compiled = (previous / BYTECODE).glob("**/services/*/k1_*/app.*.pyc")
    return {file.parent.name.removeprefix("k1_") for file in compiled}


def use(gateway: RunningService, seed: int) -> dict[str, Any]:
    """Upload a song, wait for its map and bundle, edit, delete and restore it; return the track."""
    with httpx.Client(base_url=f"{gateway.url}/api/v1", timeout=60) as http:
        accepted = http.post("/tracks/upload", files={"file": ("a.wav", songs.song(seed, seconds=4))})
        assert accepted.status_code == 202, accepted.text
        path = f"/tracks/{accepted.json()['track_id']}"

        def ready() -> bool:
            found = http.get(path)
            return found.status_code == 200 and found.json()["track"]["status"] in {"ready", "warning"}

        wait_until(ready, "the song is ready")
        wait_until(lambda: http.get(f"{path}/versions/1/bundle").status_code == 200, "its bundle is ready")
        assert http.patch(path, json={"title": f"edited {seed}"}).status_code == 200
        assert http.delete(path).status_code == 200
        assert http.post(f"{path}/restore").status_code == 200
        for other in ("/devices", "/deployments", "/storage/usage", "/webhooks", "/analysis/jobs", "/keys"):
            assert http.get(other).status_code == 200, other
        track = http.get(path).json()["track"]
        assert track["title"] == f"edited {seed}"
        return track


def test_the_previous_release_runs_beside_this_one(
    previous: Path, servers: dict[str, str], tmp_path: Path
) -> None:
    """All its services work on the new schema and bus; then a gateway of each release works with services of the other."""
    others = [name for name in SERVICE_NAMES if name != "gateway"]
    with ExitStack() as old:
        started = {name: old.enter_context(running(servers, name, tmp_path, previous)) for name in others}
        servers["K1_GATEWAY_INGEST_URL"] = started["ingest"].url
        with running(servers, "gateway", tmp_path, previous) as gateway:
            first = use(gateway, 7001)
        with running(servers, "gateway", tmp_path) as gateway:
            use(gateway, 7002)
    assert imported_from(previous) == set(SERVICE_NAMES)
    with ExitStack() as new:
        started = {name: new.enter_context(running(servers, name, tmp_path)) for name in others}
        servers["K1_GATEWAY_INGEST_URL"] = started["ingest"].url
        with running(servers, "gateway", tmp_path, previous) as gateway:
            use(gateway, 7003)
            again = httpx.get(f"{gateway.url}/api/v1/tracks/{first['id']}", timeout=60).json()["track"]
    assert again["title"] == first["title"]
