"""Tests the system in containers: `./k1 containers test`; runs other commands on the same engine: `./k1 containers run`.

It uses the Docker of this machine. A Debian machine without Docker gets an engine of its own, and stand-ins of the
images that cannot be pulled; this needs root.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.containers import images as image_names
from tests.containers.engine import Engine, find_engine
from tests.containers.images import ROOT, Images, base_images, read_compose
from tests.containers.progress import CommandError, StepError, say, step, words
from tests.containers.release import check_out, previous_revision
from tests.containers.scenario import CURRENT, PREVIOUS, Scenario, forget_settings
from tests.containers.stack import Stack


def main() -> None:
    """Run one command; exit with 1 where it fails."""
    options = _parse()
    try:
        if options.command == "test":
            _test(keep=options.keep, revision=options.revision)
        elif options.command == "steps":
            forget_settings()
            Scenario(find_engine(), options.previous, options.mongo_has_passwords).run(keep=options.keep)
        elif options.command == "run":
            sys.exit(_run(options.arguments))
        else:
            _down()
    except (CommandError, StepError) as error:
        say(f"failed: {error}")
        sys.exit(1)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="k1 containers", description=str(__doc__).partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    test = commands.add_parser("test", help="build, start, use, disturb and upgrade the system")
    test.add_argument("--keep", action="store_true", help="leave the system running")
    test.add_argument("--from", dest="revision", help="the commit to upgrade from; by default the last tag")
    # What `test` starts where the published ports are.
    steps = commands.add_parser("steps")
    steps.add_argument("--keep", action="store_true")
    steps.add_argument("--previous", type=Path, required=True)
    steps.add_argument("--mongo-has-passwords", action="store_true")
    run = commands.add_parser("run", help="run a command with DOCKER_HOST, where the published ports are")
    run.add_argument("arguments", nargs=argparse.REMAINDER)
    commands.add_parser("down", help="remove what `test --keep` left")
    return parser.parse_args()


def _test(*, keep: bool, revision: str | None) -> None:
    commit = previous_revision(revision)
    engine = find_engine()
    images = Images(engine)
    with engine.building():
        servers = image_names.server_images(read_compose(ROOT))
        monitoring = image_names.monitoring_images(read_compose(ROOT))
        with step("build the images"):
            project = engine.folder / "project"
            project.mkdir(exist_ok=True)
            images.provide([*base_images().values(), *servers, *monitoring])
            images.build(ROOT, project, CURRENT)
        with step(f"build the images of {commit[:12]}"):
            previous = check_out(commit, engine.folder)
            older = image_names.server_images(read_compose(previous))
            images.provide([*base_images(previous / "docker" / "Dockerfile").values(), *older])
            images.build(previous, project, PREVIOUS)
        say(images.sizes())
        stand_ins = images.stand_ins([*base_images().values(), *servers, *monitoring])
        say(f"stand-ins: {words(stand_ins)}")
    options = ["--previous", str(previous), *(["--keep"] if keep else [])]
    if not [image for image in stand_ins if image.startswith("mongo:")]:
        options.append("--mongo-has-passwords")
    with engine.running(keep=keep):
        status = _inside(engine, [sys.executable, "-m", "tests.containers", "steps", *options])
    if status:
        raise StepError("see above")
    say("everything passed")


def _run(arguments: Sequence[str]) -> int:
    """Run a command with the images of the servers; return its exit status."""
    if not arguments:
        raise CommandError("name a command, such as: ./k1 containers run ./k1 test tests/integration")
    engine = find_engine()
    images = Images(engine)
    wanted = [*base_images().values(), *image_names.server_images(read_compose(ROOT))]
    with engine.building():
        images.provide(wanted)
        say(f"stand-ins: {words(images.stand_ins(wanted))}")
    with engine.running():
        return _inside(engine, arguments)


def _inside(engine: Engine, command: Sequence[str]) -> int:
    """Run a command where the published ports are, and return its exit status."""
    done = subprocess.run([*engine.inside, *command], cwd=ROOT, env=engine.environment, check=False)
    return done.returncode


def _down() -> None:
    """Remove the containers and the volumes; they would start again with the engine."""
    engine = find_engine()
    with engine.running():
        Stack(ROOT, engine.environment).down()


if __name__ == "__main__":
    main()
