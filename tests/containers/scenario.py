"""The whole test on a running engine: a fresh start and what a system must endure, then an upgrade."""

import asyncio
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.containers import steps
from tests.containers.api import Api
from tests.containers.engine import Engine
from tests.containers.images import ROOT
from tests.containers.progress import StepError, say, step
from tests.containers.release import Secrets, reads_password, without_mongo_password
from tests.containers.stack import Stack

CURRENT: Final = "current"
PREVIOUS: Final = "previous"


@dataclass(frozen=True)
class Scenario:
    """What is tested, and where."""

    engine: Engine
    previous: Path
    """The checkout of the release before."""
    mongo_has_passwords: bool

    @property
    def folder(self) -> Path:
        """Where the files of this project are kept."""
        folder = self.engine.folder / "project"
        folder.mkdir(exist_ok=True)
        return folder

    def run(self, *, keep: bool) -> None:
        """Run every step; print the logs of the containers that failed.

        Raises:
            StepError: a step failed.
        """
        stack = Stack(ROOT, self.engine.environment)
        try:
            self._run_current(stack)
            stack = self._run_upgrade(stack)
        except StepError:
            say(f"the containers:\n{stack.trouble()}")
            raise
        finally:
            if not keep:
                stack.down()

    def _run_current(self, stack: Stack) -> None:
        """Start this release from nothing, and use it."""
        made = self._secrets(of_earlier_release=False)
        stack = stack.of(ROOT, made.variables(CURRENT))
        with step("start the stack"):
            stack.down()
            stack.up()
            api = Api.signed_in(stack)
            api.wait_until_ready()
        with step("a song becomes ready"):
            track = steps.make_song_ready(api)
        with step("deploy it"), tempfile.TemporaryDirectory(prefix="k1-devices-") as devices:
            say(asyncio.run(steps.deploy(api, track, Path(devices))))
        with step("scale analysis to two"):
            say(steps.scale_analysis(stack, api))
        with step("watch it"):
            say(steps.watch(stack))
        for number, server in enumerate(("postgres", "nats"), start=1):
            with step(f"cut the network of {server}"):
                say(steps.cut_network(stack, api, server, number))

    def _run_upgrade(self, stack: Stack) -> Stack:
        """Start the release before from nothing, and upgrade it to this one under load; return the stack after it."""
        earlier = reads_password(self.previous)
        made = self._secrets(of_earlier_release=earlier)
        current = stack.of(ROOT, made.variables(CURRENT))
        previous = stack.of(self.previous, made.variables(PREVIOUS))
        if not self.mongo_has_passwords:
            previous = Stack(
                previous.sources,
                previous.environment,
                without_mongo_password(self.previous, self.folder),
                previous.variables,
            )
        with step("start the release before"):
            current.down()
            previous.up()
            api = Api.signed_in(previous)
            api.wait_until_ready()
            track = steps.make_song_ready(api)
        with step("upgrade it under load"):
            say(steps.upgrade(current, api, CURRENT, 9))
            assert api.get(f"/tracks/{track}")["track"]["status"] == "ready"
        return current

    def _secrets(self, *, of_earlier_release: bool) -> Secrets:
        folder = self.folder / "secrets"
        shutil.rmtree(folder, ignore_errors=True)
        return Secrets.made(
            folder, of_earlier_release=of_earlier_release, mongo_has_passwords=self.mongo_has_passwords
        )


def forget_settings() -> None:
    """Remove settings of services from the environment: the devices of this process read them too."""
    for name in [name for name in os.environ if name.startswith("K1_")]:
        del os.environ[name]
