"""The gates: checks that a show and each device must pass before anything is sent. Pure.

A check that fails says why and what to do. An operator may override any gate but presence, for one device or for all,
with a reason; the check then counts as passed and is marked as overridden.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Final, Literal

from k1_contracts.firmware import FirmwareVersion
from k1_contracts.messages.deploy.bundles import BundleInfo
from k1_contracts.messages.deploy.deployment_queries import Check
from k1_contracts.messages.deploy.deployments import OVERRIDABLE, Gate, GateOverride
from k1_contracts.messages.deploy.device_link import DeviceHello
from k1_contracts.tracks import F_MEASURE_WARNING, INTEGRITY_WARNING
from k1_deploy.devices.device_store import DeviceRow

SPACE_MARGIN_BYTES: Final = 64 * 1024
"""A device stores metadata beside a bundle, in whole blocks of flash."""
NODES_NAMED: Final = 5
CompatibilityStatus = Literal["ok", "upgrade_required", "missing_nodes", "no_space", "offline"]
_STATUS: Final[dict[Gate, CompatibilityStatus]] = {
    "presence": "offline",
    "firmware": "upgrade_required",
    "nodes": "missing_nodes",
    "space": "no_space",
}


def show_checks(info: BundleInfo, overrides: Iterable[GateOverride]) -> list[Check]:
    """Return the checks of the show itself; overrides for one device do not apply here."""
    gates: dict[Gate, str | None] = {
        "track_status": _track_status(info),
        "f_measure": _f_measure(info),
        "estimate": _estimate(info),
        "photosensitivity": _photosensitivity(info),
    }
    overridden = {each.gate for each in overrides if each.device_id is None}
    return [_check(gate, reason, overridden) for gate, reason in gates.items()]


def device_checks(
    device: DeviceRow | None, online: bool, info: BundleInfo, overrides: Iterable[GateOverride]
) -> list[Check]:
    """Return the checks of one device; without a hello only its presence can be checked."""
    gates: dict[Gate, str | None] = {"presence": _presence(device, online)}
    if device is not None and device.hello is not None:
        gates["firmware"] = _firmware(device.hello, info)
        gates["nodes"] = _nodes(device.hello, info)
        gates["space"] = _space(device.hello, info)
    device_id = device.id if device else None
    overridden = {each.gate for each in overrides if each.device_id in (None, device_id)}
    return [_check(gate, reason, overridden) for gate, reason in gates.items()]


def passed(checks: Iterable[Check]) -> bool:
    """Return whether all gates are passed or overridden."""
    return all(check.passed or check.overridden for check in checks)


def blocking_reason(checks: Iterable[Check]) -> str | None:
    """Return the reasons of all failed checks, as sentences; None when all gates are passed."""
    reasons = [check.reason or check.gate for check in checks if not check.passed and not check.overridden]
    return " ".join(reasons) or None


def compatibility(checks: Sequence[Check]) -> tuple[CompatibilityStatus, str | None]:
    """Return a device's status and reason by the first check that fails."""
    for check in checks:
        if not check.passed:
            return _STATUS[check.gate], check.reason
    return "ok", None


def _check(gate: Gate, reason: str | None, overridden: Collection[str]) -> Check:
    if reason is None:
        return Check(gate=gate, passed=True)
    return Check(
        gate=gate, passed=False, overridden=gate in overridden and gate in OVERRIDABLE, reason=reason
    )


def _track_status(info: BundleInfo) -> str | None:
    if info.integrity is not None and info.integrity < INTEGRITY_WARNING:
        return (
            "Parts of the audio could not be decoded, so beats may be missing or misplaced: "
            "upload an undamaged file, or listen to the beats and override."
        )
    # A low F-measure makes the status a warning as well, but it has a separate gate.
    if info.track_status == "ready" or info.f_measure < F_MEASURE_WARNING:
        return None
    return "The version has warnings: look at its page, then analyse again or override."


def _f_measure(info: BundleInfo) -> str | None:
    if info.f_measure >= F_MEASURE_WARNING or info.f_measure_reference == "override":
        return None
    return (
        f"The beats were found with an F-measure of {info.f_measure:.2f}, below {F_MEASURE_WARNING:.2f}: "
        "correct the beats, or listen to them and override."
    )


def _estimate(info: BundleInfo) -> str | None:
    if info.risk == "green":
        return None
    estimate = info.runtime_estimate
    return (
        f"A frame takes about {estimate.est_ms:.1f} ms, {estimate.cpu_pct:.0f} % of its budget ({info.risk}): "
        "make the graph smaller."
    )


def _photosensitivity(info: BundleInfo) -> str | None:
    if info.photosensitivity_passed:
        return None
    if info.photosensitivity_passed is None:
        return "It is not known yet whether the show flashes too much: simulate this version."
    return "The show flashes more than WCAG 2.3.1 allows: the visual report names the node to soften."


def _presence(device: DeviceRow | None, online: bool) -> str | None:
    if device is None:
        return "There is no such device: add it with `k1 devices add`."
    if device.revoked_at is not None:
        return "The device was revoked: give it a new credential with `k1 devices add --renew`."
    if not online:
        return "The device is not connected: switch it on, or check its network."
    if device.hello is None:
        return "The device is connected, but has not sent a hello: reconnect it."
    return None


def _firmware(hello: DeviceHello, info: BundleInfo) -> str | None:
    needed = info.manifest.firmware_min_version
    try:
        enough = FirmwareVersion.parse(hello.firmware) >= FirmwareVersion.parse(needed)
    except ValueError as error:
        return f"Firmware {hello.firmware} cannot be compared with the needed {needed}: {error}."
    return None if enough else f"It has firmware {hello.firmware} and needs {needed} at least: update it."


def _nodes(hello: DeviceHello, info: BundleInfo) -> str | None:
    missing = sorted(set(info.manifest.required_nodes) - set(hello.node_types))
    if not missing:
        return None
    more = f" and {len(missing) - NODES_NAMED} more" if len(missing) > NODES_NAMED else ""
    named = ", ".join(missing[:NODES_NAMED])
    return f"Its firmware does not know the nodes {named}{more}: update it, or do without them in the graph."


def _space(hello: DeviceHello, info: BundleInfo) -> str | None:
    held = {*hello.staged, *([hello.active.bundle_sha256] if hello.active else [])}
    needed = info.bundle.size + SPACE_MARGIN_BYTES
    if info.bundle.sha256 in held or hello.flash_free_bytes >= needed:
        return None
    return (
        f"The bundle needs {needed / 1024:.0f} KiB and {hello.flash_free_bytes / 1024:.0f} KiB are free: "
        "discard a bundle that does not run."
    )
