"""A deployment for tests of the saga: its ids, its bundles and the entries of its log."""

from datetime import UTC, datetime

from k1_contracts.messages.deploy.bundles import BundleRef
from k1_contracts.messages.deploy.device_link import RunningBundle
from k1_deploy.saga.entries import Intent, Locked, Opened, Outcome, StatusChanged

DEPLOYMENT = "dep_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD"
TRACK = "trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD"
OLD, NEW = "a" * 64, "b" * 64
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
BUNDLE = BundleRef(sha256=NEW, size=1000, track_id=TRACK, version=2)


def opened(count: int = 2, **changes: object) -> Opened:
    values = {
        "at": START,
        "bundle": BUNDLE,
        "device_ids": [f"k1-{number}" for number in range(count)],
        "strategy": {"observe_seconds": 5},
        "activation": {"when": "now"},
        "guard_s": 600,
    }
    return Opened.model_validate(values | changes)


def intent(step: str, device_id: str = "k1-0", **changes: object) -> Intent:
    values = {"at": START, "device_id": device_id, "step": step, "command_id": f"{step}:{device_id}"}
    return Intent.model_validate(values | changes)


def outcome(step: str, device_id: str = "k1-0", **changes: object) -> Outcome:
    values = {"at": START, "device_id": device_id, "step": step, "result": "done"}
    return Outcome.model_validate(values | changes)


def status_changed(status: str, **changes: object) -> StatusChanged:
    return StatusChanged.model_validate({"at": START, "status": status} | changes)


def on_all(step: str, count: int = 2) -> list[Intent | Outcome]:
    before = {"before": RunningBundle(bundle_sha256=OLD)} if step == "check" else {}
    pairs = [(intent(step, f"k1-{n}"), outcome(step, f"k1-{n}", **before)) for n in range(count)]
    return [entry for pair in pairs for entry in pair]


STAGED = [
    opened(),
    Locked(at=START, device_ids=["k1-0", "k1-1"]),
    status_changed("checking"),
    *on_all("check"),
    status_changed("staging"),
    *on_all("stage"),
]
ACTIVE = [*STAGED, status_changed("activating"), *on_all("activate"), *on_all("verify")]
SUCCESS = [
    *ACTIVE,
    status_changed("observing", until=START),
    status_changed("committing"),
    status_changed("succeeded"),
]
