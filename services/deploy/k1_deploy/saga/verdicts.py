"""What a device's answer means for the step: the device is believed only where what it holds bears it out. Pure."""

from k1_contracts.messages.device_link import DeviceHello, DeviceReply, ReplyCode, RunningBundle

REPEATABLE: frozenset[ReplyCode] = frozenset({"busy", "fetch_failed", "deadline_passed"})
"""Refusals that may not come again: worth a new round."""


def refusal(reply: DeviceReply) -> str | None:
    """Why the device did not do it; None when it says that it did."""
    if reply.status == "done":
        return None
    said = ": ".join(part for part in (reply.code, reply.message) if part)
    return f"{reply.verb} {reply.status}{f' ({said})' if said else ''}"


def staged(reply: DeviceReply, sha256: str) -> str | None:
    """Why the bundle is not staged; None when it is."""
    return refusal(reply) or _unless(reply.hello, holds(reply.hello, sha256), "it does not hold the bundle")


def runs_new(hello: DeviceHello | None, sha256: str) -> str | None:
    """Why the device does not run the bundle; None when it does."""
    return _unless(hello, running(hello) == sha256, f"it runs {_name(hello)} instead of the new bundle")


def runs_again(hello: DeviceHello | None, before: RunningBundle | None) -> str | None:
    """Why the device does not run what it ran before; None when it does."""
    expected = before.bundle_sha256 if before else None
    return _unless(hello, running(hello) == expected, f"it still runs {_name(hello)}")


def discarded(reply: DeviceReply, sha256: str) -> str | None:
    """Why the bundle is not gone; None when it is."""
    gone = reply.hello is not None and sha256 not in {*reply.hello.staged, reply.hello.fetching}
    return refusal(reply) or _unless(reply.hello, gone, "it still holds the bundle")


def holds(hello: DeviceHello | None, sha256: str) -> bool:
    """Whether the device could run the bundle without fetching it."""
    return hello is not None and (sha256 in hello.staged or running(hello) == sha256)


def running(hello: DeviceHello | None) -> str | None:
    """The hash of what the device runs; None is its idle show, or unknown."""
    return hello.active.bundle_sha256 if hello and hello.active else None


def _unless(hello: DeviceHello | None, right: bool, wrong: str) -> str | None:
    if hello is None:
        return "it did not say what it holds"
    return None if right else wrong


def _name(hello: DeviceHello | None) -> str:
    sha256 = running(hello)
    return f"bundle {sha256[:12]}" if sha256 else "its idle show"
