"""Runs docker compose for one project: a checkout, the version of its images, its secrets and its volumes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

from tests.containers.progress import CommandError, last_lines, run

PROJECT: Final = "k1-test"
_RUNNING: Final = "running"


@dataclass(frozen=True)
class Stack:
    """The containers of the project, as the files of one checkout describe them."""

    sources: Path
    """The checkout; every path in its files is below it."""
    environment: Mapping[str, str]
    files: tuple[Path, ...] = ()
    """Further files, which override docker-compose.yml."""
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    """What the files ask for as ${...}."""

    def of(self, sources: Path, variables: Mapping[str, str]) -> Self:
        """Return the same project as another checkout describes it, without overrides."""
        return replace(self, sources=sources, files=(), variables=variables)

    def compose(self, *arguments: str, limit_s: float = 600.0) -> str:
        """Return the output of a command of docker compose.

        The variables of the checkout's own `.env` do not count.

        Raises:
            CommandError: it failed.
        """
        options = ["--project-name", PROJECT, "--project-directory", str(self.sources)]
        options += ["--env-file", "/dev/null", "-f", str(self.sources / "docker-compose.yml")]
        for file in self.files:
            options += ["-f", str(file)]
        environment = {**self.environment, **self.variables}
        return run("docker", "compose", *options, *arguments, environment=environment, limit_s=limit_s)

    def up(self, *arguments: str) -> None:
        """Start containers from images that are there, and wait until they are healthy."""
        self.compose("up", "-d", "--no-build", "--pull", "never", "--wait", *arguments)

    def run_job(self, name: str) -> None:
        """Run a container that ends, and wait for its end."""
        self.compose("run", "--rm", "-T", "--no-deps", name)

    def down(self) -> None:
        """Remove the containers and the volumes, those of every profile."""
        self.compose("--profile", "*", "down", "-v", "--remove-orphans", "-t", "20")

    def docker(self, *arguments: str) -> str:
        """Return the output of a command of docker."""
        return run("docker", *arguments, environment=self.environment)

    def containers(self, service: str) -> list[str]:
        """Return the ids of the running containers of a service."""
        return self.compose("ps", "-q", service).split()

    def states(self) -> list[dict[str, Any]]:
        """Return what compose knows of every container, also of those that have ended."""
        return parse_states(self.compose("ps", "-a", "--format", "json"))

    def trouble(self) -> str:
        """Return the end of the logs of the containers that failed; of all that run where none did."""
        try:
            states = self.states()
            names = failed(states) or [each["Name"] for each in states if each["State"] == _RUNNING]
            return "\n".join(f"--- {name}\n{self._logs(name)}" for name in names)
        except CommandError as error:
            return f"the logs cannot be read: {error}"

    def _logs(self, name: str) -> str:
        try:
            # Both streams, in their order.
            text = run(
                "sh",
                "-c",
                'docker logs --tail 40 "$0" 2>&1',
                name,
                environment=self.environment,
            )
        except CommandError as error:
            return str(error)
        return last_lines(text)


def parse_states(text: str) -> list[dict[str, Any]]:
    """Return the objects that `docker compose ps` prints: one on each line, or one list, as older releases do."""
    found: list[dict[str, Any]] = []
    for line in text.splitlines():
        value = json.loads(line)
        found += value if isinstance(value, list) else [value]
    return found


def failed(states: list[dict[str, Any]]) -> list[str]:
    """Return the names of the containers that are unhealthy, restart, or have ended with an error."""
    return [
        each["Name"]
        for each in states
        if each.get("Health") == "unhealthy"
        or each["State"] == "restarting"
        or (each["State"] != _RUNNING and each.get("ExitCode", 0) != 0)
    ]
