"""The network policies allow exactly the connections that the system needs; evaluated here as a cluster would."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from tests.support.documents.kubernetes import MIRROR, Manifest, of_kind, pod_labels

DEVICE = "203.0.113.7"
PRIVATE = "10.1.2.3"


@dataclass(frozen=True)
class Peer:
    """A pod of our namespace, a pod of another one, or an address outside of the cluster."""

    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: str = "k1"
    address: str | None = None


STORES = {
    "nats": Peer({"app.kubernetes.io/name": "nats", "app.kubernetes.io/component": "nats"}),
    "postgres": Peer({"cnpg.io/cluster": "k1-postgres", "cnpg.io/podRole": "instance"}),
    "postgres recovery": Peer({"cnpg.io/cluster": "k1-postgres", "cnpg.io/jobRole": "full-recovery"}),
    "mongodb": Peer({"app.kubernetes.io/instance": "k1-mongodb", "app.kubernetes.io/component": "mongod"}),
}
"""The labels that the chart of NATS and the operators give their pods."""
OTHERS = {
    "ingress controller": Peer(namespace="ingress-nginx"),
    "keda": Peer(namespace="keda"),
    "prometheus": Peer(namespace="monitoring"),
    "operator of postgres": Peer(namespace="cnpg-system"),
    "stranger": Peer(namespace="default"),
    "device": Peer(namespace="", address=DEVICE),
}
PORTS = (4222, 5432, 6222, 7422, 7777, 8000, 8080, 8222, 8883, 27017)
NEEDS_NATS = {
    "accounts",
    "analysis-front",
    "analysis-worker",
    "catalogue",
    "deploy",
    "gateway-blue",
    "gateway-green",
}
NEEDS_NATS |= {"ingest", "telemetry", "webhooks", "provision"}
WITH_SCHEMA = {"accounts", "catalogue", "deploy", "telemetry", "webhooks"}
MIGRATIONS = {f"migrate-{name}" for name in WITH_SCHEMA}
CALLED = {"accounts", "analysis-front", "catalogue", "deploy", "ingest", "telemetry", "webhooks"}
SERVICES = NEEDS_NATS - {"provision"}
PG = {"postgres", "postgres recovery"}
ALWAYS = {
    *((name, "nats", 4222) for name in NEEDS_NATS),
    *((name, database, 5432) for name in WITH_SCHEMA | MIGRATIONS for database in PG),
    *((gateway, name, 8080) for gateway in ("gateway-blue", "gateway-green") for name in CALLED),
    *(("ingress controller", name, 8080) for name in ("gateway-blue", "gateway-green")),
    *((one, other, port) for one in {*PG, "operator of postgres"} for other in PG for port in (5432, 8000)),
    ("catalogue", "mongodb", 27017),
    ("mongodb", "mongodb", 27017),
    ("nats", "nats", 6222),
}
"""Source, target and port of each connection that the system needs."""
ON_A_CLUSTER = {
    *(("prometheus", name, 8080) for name in SERVICES),
    ("prometheus", "nats", 7777),
    ("keda", "analysis-front", 8080),
    ("device", "nats", 4222),
    ("device", "nats", 8883),
}
"""What the components monitoring, autoscaling and tls add."""
NEEDED = {
    "dev": ALWAYS,
    "staging": ALWAYS | ON_A_CLUSTER,
    "prod": ALWAYS | ON_A_CLUSTER | {("device", "nats", 7422)},
    MIRROR: {("mirror", "nats", 4222), ("nats", "nats", 6222), ("prometheus", "nats", 7777)},
}
"""What each overlay needs; a second cluster comes to prod from an address outside, as devices do."""


def selects(selector: Manifest, labels: Mapping[str, str]) -> bool:
    """Return whether a label selector selects these labels; an empty one selects all."""
    assert selector.keys() <= {"matchLabels", "matchExpressions"}
    for expression in selector.get("matchExpressions", ()):
        assert expression["operator"] == "NotIn"
        if labels.get(expression["key"]) in expression["values"]:
            return False
    return selector.get("matchLabels", {}).items() <= labels.items()


def matches(rule: Manifest, peer: Peer) -> bool:
    """Return whether a peer of a policy is this one."""
    if block := rule.get("ipBlock"):
        # The addresses of pods are not for such rules.
        address = ip_address(peer.address) if peer.address else None
        excluded = [ip_network(each) for each in block.get("except", ())]
        return bool(
            address and address in ip_network(block["cidr"]) and not any(address in each for each in excluded)
        )
    if peer.address:
        return False
    namespace = rule.get("namespaceSelector")
    if namespace is None and peer.namespace != "k1":
        return False
    if namespace is not None and not selects(namespace, {"kubernetes.io/metadata.name": peer.namespace}):
        return False
    return selects(rule.get("podSelector", {}), peer.labels)


def is_allowed(policies: list[Manifest], pod: Peer, other: Peer, port: int, direction: str) -> bool:
    """Return whether a policy that selects the pod allows the connection on its side."""
    if pod.namespace != "k1":
        return True
    side = {"Ingress": "from", "Egress": "to"}[direction]
    for policy in policies:
        spec = policy["spec"]
        if direction in spec["policyTypes"] and selects(spec["podSelector"], pod.labels):
            for rule in spec.get(direction.lower(), ()):
                if any(matches(peer, other) for peer in rule[side]) and port in {
                    each["port"] for each in rule["ports"]
                }:
                    return True
    return False


def peers(overlay: str) -> dict[str, Peer]:
    """Return all pods and others by name."""
    own = {name: Peer(labels) for name, labels in pod_labels(overlay).items()}
    return own | STORES | OTHERS


def connections(overlay: str) -> Iterator[tuple[str, str, int]]:
    """Yield every connection to a pod of our namespace that both sides allow."""
    policies, known = list(of_kind(overlay, "NetworkPolicy").values()), peers(overlay)
    for source, one in known.items():
        for target, other in known.items():
            for port in PORTS if other.namespace == "k1" else ():
                leaves = is_allowed(policies, one, other, port, "Egress")
                if leaves and is_allowed(policies, other, one, port, "Ingress"):
                    yield source, target, port


@pytest.mark.parametrize("overlay", NEEDED)
def test_exactly_the_needed_connections_are_allowed(overlay: str) -> None:
    """Every pod reaches what it needs, also a pod of a recovery, and nothing else is reached."""
    needed, found = NEEDED[overlay], set(connections(overlay))
    assert (needed - found, found - needed) == (set(), set())


@pytest.mark.parametrize("overlay", NEEDED)
def test_every_selector_selects_something(overlay: str) -> None:
    """No policy and no peer in one names labels that no pod has; each port is used, and nothing is denied by mistake."""
    known = [peer.labels for peer in peers(overlay).values() if peer.namespace == "k1"]
    for name, policy in of_kind(overlay, "NetworkPolicy").items():
        spec: dict[str, Any] = policy["spec"]
        rules = [
            peer
            for side, key in (("ingress", "from"), ("egress", "to"))
            for each in spec.get(side, ())
            for peer in each[key]
        ]
        own = [
            peer["podSelector"] for peer in rules if "podSelector" in peer and "namespaceSelector" not in peer
        ]
        for selector in (spec["podSelector"], *own):
            assert any(selects(selector, labels) for labels in known), f"{name}: {selector}"


@pytest.mark.parametrize(
    ("source", "address", "port", "allowed"),
    [
        ("catalogue", DEVICE, 443, True),
        ("telemetry", DEVICE, 443, False),
        ("catalogue", DEVICE, 80, False),
        ("webhooks", DEVICE, 443, True),
        ("webhooks", PRIVATE, 443, False),
        ("accounts", DEVICE, 587, True),
        ("gateway-blue", DEVICE, 587, False),
        ("postgres", DEVICE, 443, True),
        ("nats", DEVICE, 443, False),
        ("nats", DEVICE, 7422, False),
    ],
)
def test_what_leaves_the_cluster(source: str, address: str, port: int, allowed: bool) -> None:
    """The object store for those who use it, the internet without private addresses for webhooks and accounts."""
    policies = list(of_kind("prod", "NetworkPolicy").values())
    outside = Peer(namespace="", address=address)
    assert is_allowed(policies, peers("prod")[source], outside, port, "Egress") is allowed


def test_the_second_cluster_reaches_only_the_port_of_mirrors() -> None:
    """Its servers connect to those of the first cluster, whose address is outside."""
    policies = list(of_kind(MIRROR, "NetworkPolicy").values())
    outside = Peer(namespace="", address=DEVICE)
    reached = [port for port in PORTS if is_allowed(policies, STORES["nats"], outside, port, "Egress")]
    assert reached == [7422]


@pytest.mark.parametrize("overlay", NEEDED)
def test_every_pod_asks_the_dns(overlay: str) -> None:
    """Without it nothing is found."""
    policies = list(of_kind(overlay, "NetworkPolicy").values())
    dns = Peer({"k8s-app": "kube-dns"}, namespace="kube-system")
    pods = [name for name, peer in peers(overlay).items() if peer.namespace == "k1"]
    assert [name for name in pods if not is_allowed(policies, peers(overlay)[name], dns, 53, "Egress")] == []
