"""`k1 deploy` and `k1 deployments` with a real gateway and NATS server; deploy is a stub."""

import asyncio
from asyncio.subprocess import Process
from pathlib import Path
from typing import Any

import pytest

from cli.tests.commands.fleet.deploy_stub import K1, Deploy
from cli.tests.deployment_samples import DEPLOYMENT, TRACK, at, rollout, step, view
from cli.tests.golden import golden
from k1_contracts.messages.catalogue.tracks import TrackDetail
from k1_contracts.messages.deploy.deployment_queries import (
    ControlDeployment,
    DeviceDeployment,
    ListDeployments,
    PlanDeployment,
)
from k1_contracts.messages.deploy.deployments import DeploymentChange
from k1_contracts.messages.deploy.devices import DeviceView


async def test_an_order_carries_every_option(k1: K1, deploy: Deploy) -> None:
    """The options arrive in the plan query on NATS."""
    deploy.view = rollout(2)
    done = await k1(
        "deploy", TRACK, "--version", "3", "--devices", "k1-a,k1-b", "--canary", "1", "--batch-size", "5",
        "--max-failures", "10%", "--observe", "3", "--at", "2126-05-01T20:00:00Z", "--by", "ada",
        "--override", "firmware:k1-a=tested by hand today", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.json["status"] == "queued"
    assert deploy.of(PlanDeployment) == [
        PlanDeployment.model_validate(
            {
                "track_id": TRACK,
                "version": 3,
                "device_ids": ["k1-a", "k1-b"],
                "strategy": {"canary": 1, "batch_size": 5, "max_failures": "10%", "observe_seconds": 3},
                "activation": {"when": "time", "at": "2126-05-01T20:00:00Z"},
                "overrides": [{"gate": "firmware", "device_id": "k1-a", "reason": "tested by hand today"}],
                "requested_by": "ada",
            }
        )
    ]


async def test_all_devices_and_the_current_version(k1: K1, deploy: Deploy) -> None:
    """`--all` names every device; a downbeat is one of the playing track's current version."""
    deploy.view = rollout(2)
    one = golden(DeviceView)
    deploy.devices = [one.model_copy(update={"id": f"k1-{number}"}) for number in range(3)]
    done = await k1("deploy", TRACK, "--all", "--on-downbeat", f"{TRACK}@2026-05-01T20:00:00Z")
    assert done.returncode == 0, done.stderr
    (order,) = deploy.of(PlanDeployment)
    current = golden(TrackDetail).track.current_version
    assert (order.device_ids, order.version, order.activation.version) == (
        ["k1-0", "k1-1", "k1-2"],
        current,
        current,
    )


async def test_a_dry_run_is_shown(k1: K1, deploy: Deploy) -> None:
    """The plan says what each device would do; the exit code is 1 where nothing would start."""
    done = await k1("deploy", TRACK, "--group", "stage", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "1. Stage 43 KB on 1 device" in done.stdout
    assert "f_measure overridden: F-measure .74 is below .80" in done.stdout
    deploy.would_start = False
    done = await k1("deploy", TRACK, "--group", "stage", "--dry-run")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "it would not start")


async def test_a_blocked_deployment_names_the_gates(k1: K1, deploy: Deploy) -> None:
    deploy.would_start = False
    done = await k1("deploy", TRACK, "--group", "stage")
    assert done.returncode == 1
    assert done.stderr.startswith("k1: the deployment would not start: there is no device to take it\n")
    assert "let --max-failures allow for them, or pass a gate with --override GATE=REASON" in done.stderr
    assert "strategy." not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--all", "--group", "x"),
        (),
        ("--all", "--at", "x", "--on-downbeat", "y"),
        ("--all", "--canary", "-1"),
    ],
)
async def test_a_wrong_use_is_code_2(k1: K1, arguments: tuple[str, ...]) -> None:
    assert (await k1("deploy", TRACK, *arguments)).returncode == 2


@pytest.mark.parametrize(("end", "code"), [("succeeded", 0), ("rolled_back", 1), ("rollback_pending", 1)])
async def test_watching_ends_with_the_deployment(
    k1: K1, deploy: Deploy, tmp_path: Path, end: Any, code: int
) -> None:
    """Without a terminal each change is a line; the exit code is 0 only for a success; the picture is drawn."""
    device = DeviceDeployment(device_id="k1-a", outcome="staging", batch=1)
    deploy.view = view([device], "staging", 1)
    picture = tmp_path / "timeline.png"
    watching = await k1.begin(
        "deploy", TRACK, "--devices", "k1-a", "--watch", "--png", str(picture), "--json"
    )
    failed = step("stage", 0, 1, "failed", detail="no_space: 3 MB are missing")
    change = DeploymentChange(
        deployment_id=DEPLOYMENT,
        status="activating",
        device_id="k1-a",
        step=failed,
        outcome="failed",
        at=at(2),
    )
    line = asyncio.create_task(_line(watching, "k1-a stage failed: no_space: 3 MB are missing"))
    while not line.done():  # a change before the command subscribes is lost
        await deploy.publish(change)
        await asyncio.wait({line}, timeout=0.1)
    await line
    deploy.view = view([device.model_copy(update={"outcome": "committed"})], end, 4)
    await deploy.publish(change.model_copy(update={"status": end}))
    done = await k1.end(watching)
    assert done.returncode == code, done.stderr
    assert done.json["status"] == end
    assert picture.read_bytes().startswith(b"\x89PNG")


async def _line(process: Process, words: str) -> None:
    """Read the messages of the command up to a line with this text."""
    assert process.stderr is not None
    said = b""
    async with asyncio.timeout(240):
        while words.encode() not in said:
            said = await process.stderr.readline()
            assert said, "it has ended without a word of it"


async def test_deployments_are_listed_shown_and_controlled(k1: K1, deploy: Deploy, tmp_path: Path) -> None:
    """Deployments are shown as tables, JSON and a picture; controls reach deploy with the person and the reason."""
    deploy.view = rollout(3, canary=1)
    listed = await k1("deployments", "list", "--status", "succeeded", "--track", TRACK)
    assert DEPLOYMENT in listed.stdout
    assert "3 committed" in listed.stdout
    assert deploy.of(ListDeployments) == [ListDeployments(track_id=TRACK, status="succeeded", limit=20)]
    shown = await k1("deployments", "show", DEPLOYMENT)
    assert "k1-01" in shown.stdout
    picture = tmp_path / "timeline.png"
    drawn = await k1("deployments", "show", DEPLOYMENT, "--png", str(picture), "--json")
    assert drawn.json["id"] == DEPLOYMENT
    assert drawn.stderr == f"wrote {picture}\n"
    assert picture.read_bytes().startswith(b"\x89PNG")
    for action in ("cancel", "rollback", "pause", "resume"):
        done = await k1("deployments", action, DEPLOYMENT, "--reason", "the singer is late")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"{DEPLOYMENT}: succeeded")
    controls = deploy.of(ControlDeployment)
    assert [control.action for control in controls] == ["cancel", "rollback", "pause", "resume"]
    assert {control.reason for control in controls} == {"the singer is late"}


async def test_an_unknown_deployment_is_an_error(k1: K1, deploy: Deploy) -> None:
    done = await k1("deployments", "show", DEPLOYMENT)
    assert (done.returncode, done.stderr) == (1, "k1: There is no such deployment. (deployment_not_found)\n")
