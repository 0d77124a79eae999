"""Checks a device's reply: a step counts as done only if the state that the device reports confirms it. Pure."""

from k1_contracts.messages.deploy.device_link import DeviceHello, DeviceReply, ReplyCode, RunningBundle

RETRYABLE_CODES: frozenset[ReplyCode] = frozenset({"busy", "fetch_failed", "deadline_passed"})
"""Errors that may not occur again, so that a new round is worth it."""


def check_done(reply: DeviceReply) -> str | None:
    """Return why the device did not do it; None when it reports that it did."""
    if reply.status == "done":
        return None
    detail = ": ".join(part for part in (reply.code, reply.message) if part)
    return f"{reply.verb} {reply.status}{f' ({detail})' if detail else ''}"


def check_staged(reply: DeviceReply, sha256: str) -> str | None:
    """Return why the bundle is not staged; None when it is."""
    return check_done(reply) or _unless(
        reply.hello, holds(reply.hello, sha256), "it does not hold the bundle"
    )


def check_runs(hello: DeviceHello | None, sha256: str) -> str | None:
    """Return why the device does not run the bundle; None when it does."""
    return _unless(
        hello, running_sha256(hello) == sha256, f"it runs {_name(hello)} instead of the new bundle"
    )


def check_restored(hello: DeviceHello | None, before: RunningBundle | None) -> str | None:
    """Return why the device does not run its previous bundle; None when it does."""
    expected = before.bundle_sha256 if before else None
    return _unless(hello, running_sha256(hello) == expected, f"it still runs {_name(hello)}")


def check_discarded(reply: DeviceReply, sha256: str) -> str | None:
    """Return why the bundle is not discarded; None when it is."""
    gone = reply.hello is not None and sha256 not in {*reply.hello.staged, reply.hello.fetching}
    return check_done(reply) or _unless(reply.hello, gone, "it still holds the bundle")


def holds(hello: DeviceHello | None, sha256: str) -> bool:
    """Return whether the device could run the bundle without fetching it."""
    return hello is not None and (sha256 in hello.staged or running_sha256(hello) == sha256)


def running_sha256(hello: DeviceHello | None) -> str | None:
    """Return the hash of the running bundle; None for the idle show, or when it is unknown."""
    return hello.active.bundle_sha256 if hello and hello.active else None


def _unless(hello: DeviceHello | None, confirmed: bool, problem: str) -> str | None:
    if hello is None:
        return "it did not say what it holds"
    return None if confirmed else problem


def _name(hello: DeviceHello | None) -> str:
    sha256 = running_sha256(hello)
    return f"bundle {sha256[:12]}" if sha256 else "its idle show"
