"""The parts of the container test that need no containers: what they read and what they say when something fails."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from k1_contracts.messages.deploy.deployments import ActivateNow, DeploymentOrder
from tests.containers import progress, release
from tests.containers.images import (
    ROOT,
    SERVICES,
    base_images,
    fingerprint,
    monitoring_images,
    read_compose,
    server_images,
    stand_in_of,
)
from tests.containers.progress import CommandError, StepError, last_lines, run, step
from tests.containers.release import Secrets, reads_password, without_mongo_password
from tests.containers.stack import Stack, failed, parse_states
from tests.containers.steps import JOBS, ORDER, SERVERS, finished_jobs
from tests.support.deployment_orders import immediate_order

COMPOSE: dict[str, Any] = read_compose(ROOT)


def state(name: str, state: str = "running", **more: object) -> dict[str, object]:
    return {"Name": name, "State": state, **more}


def test_the_images_to_have_are_those_of_the_files() -> None:
    """Those of the servers without the profile of monitoring, each once, and the two of the Dockerfile."""
    assert server_images(COMPOSE) == [COMPOSE["services"][name]["image"] for name in SERVERS]
    assert base_images().keys() == {"PYTHON_IMAGE", "UV_IMAGE"}
    assert [image.partition(":")[0] for image in monitoring_images(COMPOSE)] == [
        *("prom/prometheus", "prom/alertmanager", "prom/blackbox-exporter")
    ]


def test_every_image_of_a_server_has_a_stand_in() -> None:
    """Also those of the release before that the tests of this one know; and it changes with its files."""
    needed = {stand_in_of(image) for image in (*server_images(COMPOSE), *monitoring_images(COMPOSE))}
    assert needed == {"nats", "postgres", "mongo", "s3", "debian"}
    assert stand_in_of("postgres:18") == "postgres"
    assert len({fingerprint(str(name)) for name in needed}) == len(needed)
    assert stand_in_of(base_images()["PYTHON_IMAGE"]) is None


def test_an_upgrade_replaces_every_container() -> None:
    """A service or job that is added to the file has its place in the order."""
    plain = {name for name, each in COMPOSE["services"].items() if "profiles" not in each}
    assert {*SERVERS, *JOBS, *ORDER} == plain
    assert sorted(ORDER) == sorted(SERVICES)


def test_the_order_of_the_deployment_is_as_the_api_wants_it() -> None:
    """Nothing is waited for longer than needed: the devices change at once and are observed for a second."""
    order = DeploymentOrder.model_validate(immediate_order("trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD", ["a", "b"]))
    assert (order.device_ids, order.activation, order.strategy.observe_seconds) == (
        ["a", "b"],
        ActivateNow(),
        1,
    )


def test_the_document_upgrades_in_the_same_order() -> None:
    """docs/containers.md shows what was tested."""
    text = (ROOT / "docs" / "containers.md").read_text()
    assert f"for job in {' '.join(JOBS)}; do" in " ".join(text.replace("\\\n", " ").split())
    assert f"for service in {' '.join(ORDER)}; do" in text


@pytest.mark.parametrize("as_list", [True, False])
def test_the_states_of_containers_are_read(*, as_list: bool) -> None:
    """Releases of compose print a list, or an object on each line."""
    states = [state("a"), state("b", "exited", ExitCode=1)]
    text = json.dumps(states) if as_list else "\n".join(map(json.dumps, states))
    assert parse_states(text) == states
    assert parse_states("") == []


def test_containers_that_failed_are_found() -> None:
    """A job that has ended well has not failed."""
    states = [
        state("well", Health="healthy"),
        state("sick", Health="unhealthy"),
        state("loops", "restarting"),
        state("done", "exited", ExitCode=0),
        state("broken", "exited", ExitCode=3),
    ]
    assert failed(states) == ["sick", "loops", "broken"]


def test_finished_jobs_are_counted() -> None:
    """Over all outcomes; other metrics do not count."""
    text = """# TYPE k1_analysis_jobs_total counter
k1_analysis_jobs_total{outcome="completed"} 3.0
k1_analysis_jobs_total{outcome="failed"} 1.0
k1_analysis_jobs_created{outcome="completed"} 1.7e+09
"""
    assert finished_jobs(text) == 4
    assert finished_jobs("") == 0


def test_a_step_that_fails_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    """With the reason; what was done before it is printed."""
    with step("first"):
        pass
    with pytest.raises(StepError, match="the step “second” failed: exit"), step("second"):
        raise CommandError("exit")
    out, _ = capfd.readouterr()
    assert "first: done in" in out
    assert "second: done" not in out


def test_a_program_that_fails_is_named_with_its_last_words() -> None:
    """Both streams; a program that is missing, too."""
    with pytest.raises(CommandError, match=r"sh -c .* exited with 3:\nout\nerr"):
        run("sh", "-c", "echo out; echo err >&2; exit 3")
    with pytest.raises(CommandError, match="no-such-program: No such file"):
        run("no-such-program")
    with pytest.raises(CommandError, match="took longer"):
        run("sleep", "10", limit_s=0.1)
    assert last_lines("a\nb\nc\n", 2) == "b\nc"


def test_without_a_tag_a_commit_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the option."""

    def untagged(*command: str, **options: Any) -> str:
        if "describe" in command:
            raise CommandError("no names found")
        return progress.run(*command, **options)

    monkeypatch.setattr(release, "run_program", untagged)
    with pytest.raises(CommandError, match="--from"):
        release.previous_revision(None)


def test_the_secrets_of_an_upgrade_fit_to_the_release_before(tmp_path: Path) -> None:
    """What read K1_PASSWORD keeps its password; MongoDB's is left out where its stand-in knows none."""
    made = Secrets.made(tmp_path, of_earlier_release=True, mongo_has_passwords=False)
    assert (tmp_path / "postgres-password").read_text() == made.password
    assert made.password in (tmp_path / "K1_POSTGRES_DSN").read_text()
    assert made.password not in (tmp_path / "K1_MONGO_URL").read_text()
    new = Secrets.made(tmp_path, of_earlier_release=False, mongo_has_passwords=True)
    assert (tmp_path / "postgres-password").read_text() not in {made.password, new.password}
    assert "@mongo" in (tmp_path / "K1_MONGO_URL").read_text()


def test_the_release_before_is_told_apart(tmp_path: Path) -> None:
    """By its own file: whether it reads K1_PASSWORD, and who has the URL of MongoDB as a variable."""
    assert not reads_password(ROOT)
    assert without_mongo_password(ROOT, tmp_path) == ()
    settings = {"environment": {"K1_MONGO_URL": "mongodb://k1:${K1_PASSWORD}@mongo"}}
    old = {"services": {"catalogue": settings, "gateway": {}}}
    (tmp_path / "docker-compose.yml").write_text(yaml.safe_dump(old))
    assert reads_password(tmp_path)
    (file,) = without_mongo_password(tmp_path, tmp_path)
    assert list(yaml.safe_load(file.read_text())["services"]) == ["catalogue"]


def test_files_are_found_from_their_own_checkout(tmp_path: Path) -> None:
    """Relative paths, such as that of the secrets, belong to the folder of docker-compose.yml, and no `.env` counts."""
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\necho "$@"\necho "$K1_VERSION"\n')
    docker.chmod(0o755)
    override = tmp_path / "more.yml"
    stack = Stack(tmp_path, {"PATH": f"{tmp_path}:/usr/bin:/bin"}, (override,), {"K1_VERSION": "x"})
    words, version = stack.compose("ps").splitlines()
    assert f"--project-directory {tmp_path} --env-file /dev/null" in words
    assert words.endswith(f"-f {tmp_path}/docker-compose.yml -f {override} ps")
    assert version == "x"
