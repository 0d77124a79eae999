"""The scripts that bring releases to a cluster, with a kubectl that only records how it is called."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.documents.generators import ROOT

SCRIPTS = ROOT / "deploy" / "scripts"
RECORDER = """#!/usr/bin/env bash
# Only an apply reads what is sent to it.
case "$*" in *-f\\ -*) sent=$(cat) ;; *) sent= ;; esac
echo "$* $(grep -o "active=[a-z]*" "$OVERLAY/gateway.env")" >>"$CALLS"
case "$*" in
    *"--ignore-not-found service gateway"*) [ -z "$RUNNING" ] || echo blue ;;
    *"--ignore-not-found deployment "*) name=$*; name=${name#*deployment }; name=${name%% *}; name=${name%-front}
        echo "registry.example.org/k1-${name%-[bg]*}:$RUNNING" ;;
    *"get deployments"*) echo deployment.apps/ingest ;;
    *"get deployment "*) echo 3 ;;
    kustomize*) echo manifests ;;
esac
case "$0 $*" in *"$FAILS"*) if [ ! -e "$CALLS.failed" ]; then touch "$CALLS.failed"; exit 1; fi ;; esac
"""
DIGEST = f"sha256:{'a' * 64}"
SERVICES = ("accounts", "analysis", "catalogue", "deploy", "gateway", "ingest", "telemetry", "webhooks")


class Cluster:
    """Runs the scripts on a copy of an overlay."""

    def __init__(self, folder: Path) -> None:
        self.overlay = folder / "overlay"
        shutil.copytree(ROOT / "deploy/k8s/overlays/prod", self.overlay)
        self._folder = folder
        (folder / "bin").mkdir()
        for name in ("kubectl", "python3"):
            recorder = folder / "bin" / name
            recorder.write_text(RECORDER)
            recorder.chmod(0o755)

    def run(
        self, script: str, *arguments: str, fails: str = "nothing", running: str = ""
    ) -> tuple[int, list[str], str]:
        """Return the exit code, the calls of kubectl and the error.

        `fails` is a part of the call that fails when it is made first, `running` the tag of what runs.
        """
        calls = self._folder / "calls"
        calls.write_text("")
        (self._folder / "calls.failed").unlink(missing_ok=True)
        environment = {
            "PATH": f"{self._folder / 'bin'}:/usr/bin:/bin",
            "CALLS": str(calls),
            "FAILS": fails,
            "RUNNING": running,
            "OVERLAY": str(self.overlay),
            "DRAIN_S": "0",
        }
        done = subprocess.run(
            [SCRIPTS / script, *arguments], env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, calls.read_text().splitlines(), done.stderr

    @property
    def release(self) -> dict[str, str]:
        """The content of gateway.env."""
        return dict(line.split("=") for line in (self.overlay / "gateway.env").read_text().splitlines())


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


def position(calls: list[str], part: str) -> int:
    """Return the place of the only call with this part."""
    (found,) = [number for number, call in enumerate(calls) if part in call]
    return found


def test_the_gateway_switches_when_the_new_colour_is_ready_and_back(cluster: Cluster) -> None:
    """The other colour starts with as many pods, then the Service changes, then the old colour ends; back likewise."""
    code, calls, error = cluster.run("switch-gateway", str(cluster.overlay), "0.2.0")
    assert code == 0, error
    assert cluster.release == {"active": "green", "blue": "0.1.0", "green": "0.2.0"}
    started = position(calls, "scale deployment gateway-green --replicas 3")
    ready = position(calls, "rollout status deployment/gateway-green")
    switched = [number for number, call in enumerate(calls) if "apply" in call and "active=green" in call]
    ended = position(calls, "scale deployment gateway-blue --replicas 0")
    assert started < ready < switched[0] < ended
    code, _, _ = cluster.run("switch-gateway", str(cluster.overlay))
    assert (code, cluster.release) == (0, {"active": "blue", "blue": "0.1.0", "green": "0.2.0"})


def test_a_gateway_that_does_not_become_ready_does_not_serve(cluster: Cluster) -> None:
    """The Service stays, the old colour keeps its pods, and the message says where to look."""
    code, calls, error = cluster.run("switch-gateway", str(cluster.overlay), "0.2.0", fails="rollout status")
    assert code == 1
    assert cluster.release["active"] == "blue"
    assert not [call for call in calls if "active=green" in call or "gateway-blue --replicas 0" in call]
    assert "gateway-blue still serves" in error
    assert "kubectl -n k1 logs deployment/gateway-green" in error


def test_services_roll_after_the_preparation(cluster: Cluster) -> None:
    """Jobs of before go, streams and schemas are prepared, then the services change, then their readiness is awaited."""
    code, calls, error = cluster.run("deploy-release", str(cluster.overlay))
    assert code == 0, error
    order = [
        position(calls, "delete jobs"),
        position(calls, "component!=service"),
        position(calls, "wait jobs"),
        position(calls, "component=service"),
        position(calls, "rollout status deployment.apps/ingest"),
    ]
    assert order == sorted(order)


def test_no_service_changes_when_the_preparation_fails(cluster: Cluster) -> None:
    """The release ends with an error that says where to look."""
    code, calls, error = cluster.run("deploy-release", str(cluster.overlay), fails="wait jobs")
    assert code == 1
    assert not [call for call in calls if "component=service" in call]
    assert "no service was changed" in error


def test_images_are_written_by_digest(cluster: Cluster, tmp_path: Path) -> None:
    """The gateway's tag is left to the switch. A line without a digest, or of another service, changes nothing."""
    images, overlay = tmp_path / "images.txt", cluster.overlay / "kustomization.yaml"
    for line in (
        f"ingest r.example.org/k1-ingest:v2@{DIGEST[:-1]}",
        f"cat r.example.org/k1-cat:v2@{DIGEST}",
        f"ingest r.example.org:5000/k1-ingest:v2@{DIGEST}",
        "ingest r.example.org/k1-ingest:v2",
    ):
        before = overlay.read_text()
        images.write_text(f"{line}\n")
        code, _, error = cluster.run("set-images", str(cluster.overlay), str(images))
        assert (code, overlay.read_text()) == (1, before)
        assert line in error
    images.write_text(
        "".join(f"{name} r.example.org/k1-{name}:v2@{DIGEST}\n" for name in ("gateway", "ingest"))
    )
    code, calls, error = cluster.run("set-images", str(cluster.overlay), str(images))
    assert (code, calls) == (0, []), error
    assert f"{{name: k1-ingest, newName: r.example.org/k1-ingest, digest: {DIGEST}}}" in overlay.read_text()
    assert '{name: k1-gateway, newName: r.example.org/k1-gateway, newTag: "0"}' in overlay.read_text()


def write_release(folder: Path) -> Path:
    """Write the images of release v2 to a file."""
    images = folder / "images.txt"
    images.write_text("".join(f"{name} r.example.org/k1-{name}:v2@{DIGEST}\n" for name in SERVICES))
    return images


def test_a_release_that_passes_stays(cluster: Cluster, tmp_path: Path) -> None:
    """Services roll, then the gateway switches to the release with its digest, then it is tested from outside."""
    images = write_release(tmp_path)
    code, calls, error = cluster.run(
        "promote", str(cluster.overlay), str(images), "https://k1", running="0.1.0"
    )
    assert code == 0, error
    assert cluster.release == {"active": "green", "blue": "0.1.0", "green": f"v2@{DIGEST}"}
    rolled = position(calls, "rollout status deployment.apps/ingest")
    assert rolled < position(calls, "rollout status deployment/gateway-green")
    assert position(calls, "smoke_test.py https://k1") == len(calls) - 1


@pytest.mark.parametrize("fails", ["wait jobs", "rollout status deployment/gateway-green", "smoke_test.py"])
def test_a_release_that_fails_goes_back_to_what_ran(cluster: Cluster, tmp_path: Path, fails: str) -> None:
    """Whichever step fails: the images and the gateway of before run again, are tested, and the exit code tells."""
    images = write_release(tmp_path)
    code, calls, error = cluster.run(
        "promote", str(cluster.overlay), str(images), "https://k1", fails=fails, running="0.1.0"
    )
    assert code == 1
    assert "went back; https://k1 runs what it ran before" in error
    overlay = (cluster.overlay / "kustomization.yaml").read_text()
    assert "r.example.org/k1-ingest," not in overlay.replace("registry.example.org", "")
    for name in SERVICES:
        tag = "0" if name == "gateway" else "0.1.0"
        assert f'{{name: k1-{name}, newName: registry.example.org/k1-{name}, newTag: "{tag}"}}' in overlay
    assert cluster.release[cluster.release["active"]] == "0.1.0"
    assert "smoke_test.py https://k1" in calls[-1]


def test_a_first_release_that_fails_has_nothing_to_go_back_to(cluster: Cluster, tmp_path: Path) -> None:
    """The error says so, and nothing else is rolled out."""
    images = write_release(tmp_path)
    code, calls, error = cluster.run(
        "promote", str(cluster.overlay), str(images), "https://k1", fails="smoke_test.py"
    )
    assert code == 1
    assert "nothing ran before it" in error
    assert "smoke_test.py https://k1" in calls[-1]


@pytest.mark.parametrize(
    "script", ["deploy-release", "switch-gateway", "set-images", "current-release", "promote"]
)
def test_wrong_use_is_explained(cluster: Cluster, script: str) -> None:
    """Without an overlay, or with a folder that is none."""
    for arguments in ((), (str(cluster.overlay.parent),)):
        code, calls, error = cluster.run(script, *arguments)
        assert (code, calls) == (2, [])
        assert "deploy/k8s/overlays" in error
