"""The manifests of deploy/k8s are valid, and keep the rules of this project; built by kubectl without a cluster."""

import copy
import importlib
import importlib.util
import re
from collections.abc import Iterator

import pytest
import yaml

from k1_contracts.streams import DOMAIN
from tests.support.documents.generators import ROOT
from tests.support.documents.kubernetes import (
    K8S,
    MIRROR,
    OVERLAYS,
    Manifest,
    containers,
    manifests,
    of_kind,
    pod_labels,
    pod_specs,
    violations,
)
from tests.support.documents.settings_classes import settings_classes, variable_of

MADE_BY_OPERATORS = {
    "k1-postgres-app": {"uri"},
    "k1-postgres-ca": {"ca.crt"},
    "k1-mongodb-ssl": {"ca.crt"},
    "k1-nats-tls": {"ca.crt"},
}
"""Secrets that CloudNativePG, Percona and cert-manager write, with the keys that we read."""

STOP_S = 40
"""The time that a service needs after it has drained (docs/operations.md)."""


@pytest.fixture(params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=(*OVERLAYS, MIRROR))
def any_overlay(request: pytest.FixtureRequest) -> str:
    """An overlay of the system, or that of the second cluster, which has a Job only."""
    return request.param


def test_every_manifest_is_valid(any_overlay: str) -> None:
    """No field is unknown, missing or of the wrong type, also in the resources of the operators."""
    assert violations(manifests(any_overlay)) == []


def test_the_schemas_find_mistakes() -> None:
    """An unknown field is found in a Deployment and in a ScaledObject."""
    for name, kind in (("gateway-blue", "Deployment"), ("analysis-worker", "ScaledObject")):
        wrong = copy.deepcopy(of_kind("prod", kind)[name])
        wrong["spec"]["replica"] = 1
        assert len(violations([wrong])) == 1


def test_every_image_has_a_version(any_overlay: str) -> None:
    """A tag or a digest, never `latest`: what runs is what was tested."""
    for name, container in containers(any_overlay):
        assert re.fullmatch(r"[^:@]+(:(?!latest$)[\w.-]+|@sha256:[0-9a-f]{64})", container["image"]), name


def test_every_container_is_restricted(any_overlay: str) -> None:
    """No root, no capability, no writable root, the default seccomp profile, no account of the cluster."""
    for name, pod in pod_specs(any_overlay).items():
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["enableServiceLinks"] is False, name
        assert (
            of_kind(any_overlay, "ServiceAccount")[pod["serviceAccountName"]]["automountServiceAccountToken"]
            is False
        )
        security = pod["securityContext"]
        assert (security["runAsNonRoot"], security["runAsUser"] > 0) == (True, True), name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), name
        assert not [volume for volume in pod["volumes"] if "hostPath" in volume], name
    for name, container in containers(any_overlay):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name


def test_every_container_has_requests_and_limits(any_overlay: str) -> None:
    """Of CPU and memory; what an emptyDir may hold is limited too."""
    for name, container in containers(any_overlay):
        assert (
            {*container["resources"]["requests"]} == {*container["resources"]["limits"]} == {"cpu", "memory"}
        ), name
    for name, pod in pod_specs(any_overlay).items():
        assert all("sizeLimit" in volume["emptyDir"] for volume in pod["volumes"] if "emptyDir" in volume), (
            name
        )


def test_every_service_has_probes_a_budget_and_a_spread(overlay: str) -> None:
    """/livez restarts, /readyz takes out of service; a PodDisruptionBudget and constraints select its pods."""
    budgets = [
        each["spec"]["selector"]["matchLabels"] for each in of_kind(overlay, "PodDisruptionBudget").values()
    ]
    for name, deployment in of_kind(overlay, "Deployment").items():
        labels = pod_labels(overlay)[name]
        pod = deployment["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        paths = {probe: container[probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe")}
        assert paths == {"livenessProbe": "/livez", "readinessProbe": "/readyz"}, name
        assert container["readinessProbe"]["timeoutSeconds"] >= 3, name
        assert sum(budget.items() <= labels.items() for budget in budgets) == 1, name
        spreads = [each["labelSelector"]["matchLabels"] for each in pod["topologySpreadConstraints"]]
        assert spreads, name
        assert all(spread == deployment["spec"]["selector"]["matchLabels"] for spread in spreads), name


def known_variables() -> set[str]:
    """Return every environment variable that a settings class reads."""
    return {variable_of(each, field) for each in settings_classes() for field in each.model_fields}


def test_every_setting_exists(any_overlay: str) -> None:
    """Every variable of the ConfigMap and of containers is a field of a settings class, or is used in such a one."""
    known = known_variables()
    assert {"K1_ANALYSIS_ROLE", "K1_PROVISION_REPLICAS", "K1_AUTH", "OTEL_EXPORTER_OTLP_ENDPOINT"} <= known
    settings = next(
        each for name, each in of_kind(any_overlay, "ConfigMap").items() if name.startswith("k1-settings")
    )
    assert settings["data"].keys() - known == set()
    for name, container in containers(any_overlay):
        variables = container.get("env", [])
        used = {found for each in variables for found in re.findall(r"\$\((\w+)\)", each.get("value", ""))}
        assert {each["name"] for each in variables} - used - known == set(), name


STORES = {
    "PostgresSettings()": "K1_POSTGRES_DSN",
    "MongoSettings()": "K1_MONGO_URL",
    "ObjectStoreSettings()": "K1_S3_SECRET_KEY",
}
"""Where a service connects to a store, and the variable that it needs then."""


def test_every_service_gets_the_stores_that_it_uses(overlay: str) -> None:
    """And no other; a service with a schema has a Job that migrates it."""
    migrated: set[str] = set()
    for package in sorted((ROOT / "services").glob("*/k1_*")):
        service = package.name.removeprefix("k1_")
        source = "\n".join(path.read_text("utf-8") for path in package.rglob("*.py"))
        needed = {variable for made, variable in STORES.items() if made in source}
        pods = {
            name: each
            for name, each in of_kind(overlay, "Deployment").items()
            if name.partition("-")[0] == service
        }
        assert pods, service
        for name, deployment in pods.items():
            (container,) = deployment["spec"]["template"]["spec"]["containers"]
            given = {each["name"] for each in container.get("env", ()) if each["name"] in STORES.values()}
            assert given == needed, name
        if (package / "migrate.py").exists():
            migrated.add(f"migrate-{service}")
    assert {name for name in of_kind(overlay, "Job") if name.startswith("migrate-")} == migrated


def test_a_variable_names_only_earlier_ones(overlay: str) -> None:
    """The kubelet replaces `$(NAME)` only where NAME stands before it in the list."""
    for name, container in containers(overlay):
        earlier: set[str] = set()
        for variable in container.get("env", []):
            assert {*re.findall(r"\$\((\w+)\)", variable.get("value", ""))} <= earlier, (
                f"{name}: {variable['name']}"
            )
            assert not ("value" in variable and variable.get("valueFrom")), f"{name}: {variable['name']}"
            earlier.add(variable["name"])


def secrets_read(pod: Manifest) -> Iterator[tuple[str, str | None]]:
    """Yield each Secret that a pod reads, with the key, or None for all."""
    for container in (*pod.get("initContainers", ()), *pod["containers"]):
        for variable in container.get("env", []):
            if found := (variable.get("valueFrom") or {}).get("secretKeyRef"):
                yield found["name"], found["key"]
    for volume in pod["volumes"]:
        if found := volume.get("secret"):
            for item in found.get("items") or [{"key": None}]:
                yield found["secretName"], item["key"]


def test_every_secret_is_made(
    any_overlay: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By deploy/scripts/make_secrets.py or by an operator, with the key that is read; a pod gets no other's credential."""
    spec = importlib.util.spec_from_file_location("make_secrets", ROOT / "deploy/scripts/make_secrets.py")
    assert spec
    assert spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    folder = tmp_path_factory.mktemp("keys")
    environment = {"K1_S3_ACCESS_KEY": "a", "K1_S3_SECRET_KEY": "s"}
    found = list(script.make_secrets(folder, environment))
    made = {name: set(files) for name, files in found}
    assert len(made) == len(found)
    assert list(script.make_secrets(folder, environment)) == found  # again: no key changes
    held = {content for _, files in found for content in files.values()}
    assert not [file for file in (folder / "nats" / "root").iterdir() if file.read_bytes() in held]
    for name, pod in pod_specs(any_overlay).items():
        for secret, key in secrets_read(pod):
            keys = (made | MADE_BY_OPERATORS)[secret]
            assert keys, f"{name}: {secret} is empty"
            assert key is None or key in keys, f"{name}: {secret} has no {key}"
        services = {
            service.removeprefix("k1-nats-")
            for service, _ in secrets_read(pod)
            if service.startswith("k1-nats-")
        }
        expected = {"admin"} if name in {"provision", "mirror"} else {name.partition("-")[0]}
        assert services - {"tls"} == (set() if name.startswith("migrate") else expected), name


def test_workers_scale_by_the_slots_of_a_pod_and_may_finish_their_songs() -> None:
    """The target is the CPU limit, from which the slots follow; the grace period is longer than the longest song may take.

    The scaler reads the Service of the front, which is always there. No manifest sets replicas that a scaler sets.
    """
    scaler = of_kind("prod", "ScaledObject")["analysis-worker"]["spec"]
    (trigger,) = scaler["triggers"]
    worker = of_kind("prod", "Deployment")["analysis-worker"]["spec"]
    pod = worker["template"]["spec"]
    (container,) = pod["containers"]
    assert trigger["metadata"]["targetValue"] == container["resources"]["limits"]["cpu"]
    assert scaler["minReplicaCount"] == 0
    environment = {each["name"]: each.get("value") for each in container["env"]}
    stop_timeout_s = float(environment["K1_ANALYSIS_STOP_TIMEOUT_S"] or "")
    analysis = importlib.import_module("k1_analysis.settings").AnalysisSettings
    assert (
        analysis.model_fields["job_timeout_s"].default
        <= stop_timeout_s
        < pod["terminationGracePeriodSeconds"]
    )
    service = of_kind("prod", "Service")["analysis"]
    assert trigger["metadata"]["url"] == "http://analysis.k1.svc.cluster.local:8080/metrics"
    assert service["spec"]["selector"].items() <= pod_labels("prod")["analysis-front"].items()
    assert not service["spec"]["selector"].items() <= pod_labels("prod")["analysis-worker"].items()
    assert of_kind("prod", "Deployment")["analysis-front"]["spec"]["replicas"] >= 1
    for name in ("analysis-worker", "gateway-blue", "gateway-green"):
        assert "replicas" not in of_kind("prod", "Deployment")[name]["spec"], name


def test_pods_serve_until_proxies_know_that_they_leave(overlay: str) -> None:
    """Those that requests reach have a drain time, and then 40 s to finish what they have begun."""
    settings = {
        name: value
        for each in of_kind(overlay, "ConfigMap").values()
        for name, value in each.get("data", {}).items()
    }
    pods = pod_specs(overlay)
    for name in ("gateway-blue", "gateway-green", "ingest"):
        drain_s = float(settings[f"K1_{name.partition('-')[0].upper()}_DRAIN_S"])
        assert drain_s > 0, name
        assert drain_s + STOP_S <= pods[name]["terminationGracePeriodSeconds"], name


def test_selectors_select_pods(overlay: str) -> None:
    """Each Service but the one without pods, and the monitor of pods, selects at least one."""
    for kind in ("Service", "PodMonitor"):
        for name, each in of_kind(overlay, kind).items():
            selector = each["spec"].get("selector", {})
            wanted = selector.get("matchLabels", selector)
            selected = [
                pod
                for pod, labels in pod_labels(overlay).items()
                if wanted and wanted.items() <= labels.items()
            ]
            assert bool(selected) == (name != "not-public"), name
            if name == "gateway":
                assert selected == ["gateway-blue"]


def test_health_and_metrics_are_not_public(overlay: str) -> None:
    """The ingress sends them to a Service without pods, has TLS, and the gateway allows its host."""
    (ingress,) = of_kind(overlay, "Ingress").values()
    (rule,) = ingress["spec"]["rules"]
    backends = {path["path"]: path["backend"]["service"]["name"] for path in rule["http"]["paths"]}
    assert backends == {
        "/": "gateway",
        "/metrics": "not-public",
        "/livez": "not-public",
        "/readyz": "not-public",
    }
    assert ingress["spec"]["tls"][0]["hosts"] == [rule["host"]]
    settings = next(
        each for name, each in of_kind(overlay, "ConfigMap").items() if name.startswith("k1-settings")
    )
    assert settings["data"]["K1_GATEWAY_ALLOWED_HOSTS"] == rule["host"]


def test_the_values_of_both_clusters_fit_together() -> None:
    """The first one has the domain that mirrors name; the second one keeps every volume that values.yaml adds."""
    base, mirrored, mirror = (
        yaml.safe_load((K8S / "nats" / f"{name}.yaml").read_text("utf-8"))
        for name in ("values", "values-mirrored", "values-mirror")
    )
    assert mirrored["config"]["jetstream"]["merge"] == {"domain": DOMAIN}
    assert mirrored["config"]["leafnodes"]["tls"]["enabled"] is True
    assert mirror["config"]["jetstream"]["merge"]["domain"] != DOMAIN
    (remote,) = mirror["config"]["merge"]["leafnodes"]["remotes"]
    devices = of_kind("prod", "Certificate")["k1-nats-tls"]["spec"]["dnsNames"][4]
    assert remote["url"] == f"tls://{devices}:7422"
    for part in ("container", "podTemplate"):
        added = [each for each in mirror[part]["patch"] if each not in base[part]["patch"]]
        assert [each["value"]["name"] for each in added] == ["mirror"], part
        assert [each for each in base[part]["patch"] if each not in mirror[part]["patch"]] == [], part
