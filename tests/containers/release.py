"""The release before: its sources, its settings, and the secrets that an upgrade takes over."""

import io
import secrets
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path
from subprocess import run
from typing import Any, Final

import yaml

from k1_cli.compose_secrets import make_secrets
from tests.containers.images import ROOT, read_compose
from tests.containers.progress import CommandError
from tests.containers.progress import run as run_program

_PATHS: Final = (
    "docker-compose.yml",
    "docker",
    "deploy",
    "libs",
    "services",
    "requirements.lock",
    ".dockerignore",
)
_MONGO_WITHOUT_PASSWORD: Final = "mongodb://mongo:27017/k1"


def previous_revision(given: str | None) -> str:
    """Return the commit to upgrade from: the given one, or the last tag before this commit.

    Raises:
        CommandError: there is no such commit, or no tag.
    """
    if given is None:
        try:
            given = run_program("git", "describe", "--tags", "--abbrev=0", "HEAD^", cwd=ROOT).strip()
        except CommandError as error:
            raise CommandError("there is no tag yet; name a commit to upgrade from with --from") from error
    return run_program("git", "rev-parse", "--verify", f"{given}^{{commit}}", cwd=ROOT).strip()


def check_out(revision: str, folder: Path) -> Path:
    """Return a folder with the files of a commit from which its images are built."""
    sources = folder / f"sources-{revision[:12]}"
    if not sources.exists():
        names = run_program("git", "ls-tree", "--name-only", revision, cwd=ROOT).split()
        wanted = [path for path in _PATHS if path in names]
        archive = run(["git", "archive", revision, *wanted], cwd=ROOT, capture_output=True, check=True).stdout
        draft = folder / f"{sources.name}.new"
        draft.mkdir(exist_ok=True)
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(draft, filter="data")
        draft.rename(sources)
    return sources


@dataclass(frozen=True)
class Secrets:
    """The secrets of a project, and the variables by which the files of a checkout find them."""

    folder: Path
    password: str
    """What a release that read K1_PASSWORD was started with."""

    @classmethod
    def made(cls, folder: Path, *, of_earlier_release: bool, mongo_has_passwords: bool) -> "Secrets":
        """Make new secrets as `k1 compose init` does; with the password of the earlier release where it had one."""
        password = secrets.token_hex(16)
        shutil.rmtree(folder, ignore_errors=True)
        make_secrets(folder, password if of_earlier_release else None)
        if not mongo_has_passwords:
            (folder / "K1_MONGO_URL").write_text(_MONGO_WITHOUT_PASSWORD)
        return cls(folder, password)

    def variables(self, version: str) -> dict[str, str]:
        """Return what the files ask for."""
        return {"K1_VERSION": version, "K1_SECRETS_FOLDER": str(self.folder), "K1_PASSWORD": self.password}


def reads_password(sources: Path) -> bool:
    """Return whether a checkout's docker-compose.yml takes K1_PASSWORD from the environment."""
    return "K1_PASSWORD" in (sources / "docker-compose.yml").read_text()


def without_mongo_password(sources: Path, folder: Path) -> tuple[Path, ...]:
    """Return a file that takes the password out of the URL of MongoDB, where a checkout has it as a variable."""
    services: dict[str, dict[str, Any]] = read_compose(sources)["services"]
    users = [name for name, each in services.items() if "K1_MONGO_URL" in each.get("environment", {})]
    if not users:
        return ()
    file = folder / "without-mongo-password.yml"
    changed = {name: {"environment": {"K1_MONGO_URL": _MONGO_WITHOUT_PASSWORD}} for name in users}
    file.write_text(yaml.safe_dump({"services": changed}))
    return (file,)
