"""Checks what clients got through a gateway that was killed: nothing is lost or doubled."""

from collections import Counter
from collections.abc import Sequence
from typing import Any


def find_feed_violations(
    samples: Sequence[float], notices: Sequence[str], connections: int, count: int
) -> list[str]:
    """Return what is wrong with a feed that must have the samples 0, 1, ... `count` - 1 and nothing else.

    Negative samples only wake the client.
    """
    received = [number for number in samples if number >= 0]
    violations = [f"the client got the notice {notice}" for notice in notices]
    if received != list(range(count)):
        violations.append(f"the client got the samples {received}")
    if connections < 2:
        violations.append("the connection of the client survived the kill")
    return violations


def find_upload_violations(receipts: Sequence[dict[str, Any]], uploaded: Counter[str]) -> list[str]:
    """Return what is wrong with accepted uploads, each of which must be one track and one event."""
    tracks = Counter(receipt["track_id"] for receipt in receipts)
    violations = [f"{track} was accepted {count} times" for track, count in tracks.items() if count != 1]
    violations += [f"{track} has {uploaded[track]} events" for track in tracks if uploaded[track] != 1]
    return violations + [f"status {each['status']}" for each in receipts if each["status"] != "queued"]


def find_deployment_violations(
    responses: Sequence[str], listed: Sequence[str], requested: Sequence[str]
) -> list[str]:
    """Return what is wrong with one deployment: all three must name it, and only it."""
    violations = [f"the responses name {sorted(set(responses))}"] if len(set(responses)) != 1 else []
    violations += [f"{len(listed)} deployments are listed"] if len(listed) != 1 else []
    violations += [f"{len(requested)} commands are on the stream"] if len(requested) != 1 else []
    return violations or ([] if {*responses} == {*listed} == {*requested} else ["the deployments differ"])
