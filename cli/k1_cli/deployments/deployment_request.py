"""Builds the body of `POST /deployments` from the options of `k1 deploy`; the gateway validates its content."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from k1_cli.errors import CommandError
from k1_cli.json_types import JsonObject

_MAX_FAILURES: Final = re.compile(r"[0-9]{1,6}|100%|[0-9]{1,2}%")
_QUALITY: Final = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,3})?)/([0-9]{1,3})")
_SOON: Final = timedelta(minutes=5)


def build_strategy(
    canary: int | None,
    batch_size: int | None,
    max_failures: str | None,
    observe: float | None,
    quality: str | None = None,
) -> JsonObject:
    """Return the rollout strategy with the given options only; the contract has defaults for the others.

    `max_failures`: a count such as `3` or a share such as `10%`. `quality`: `MS/BARS` such as `20/8`.

    Raises:
        CommandError: `max_failures` or `quality` has another form.
    """
    if max_failures is not None and not _MAX_FAILURES.fullmatch(max_failures):
        raise CommandError(
            f"--max-failures: {max_failures} is neither a count such as 2 nor a share such as 10%"
        )
    given = {
        "canary": canary,
        "batch_size": batch_size,
        "max_failures": int(max_failures) if max_failures and max_failures.isdecimal() else max_failures,
        "observe_seconds": observe,
        "quality": None if quality is None else _parse_quality(quality),
    }
    return {name: value for name, value in given.items() if value is not None}


def _parse_quality(text: str) -> JsonObject:
    found = _QUALITY.fullmatch(text)
    if found is None:
        raise CommandError(
            f"--quality: {text} is no bound: write MS/BARS, such as 20/8 for 20 ms over 8 bars"
        )
    return {"max_drift_ms": float(found[1]), "bars": int(found[2])}


def check_activation_time(text: str, now: datetime) -> str:
    """Return the text of `--at` unchanged after checking it.

    Raises:
        CommandError: it is no time, has no time zone, or is past.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"--at: {text} is no time; write it as {_example(now)}") from None
    if moment.tzinfo is None:
        raise CommandError(f"--at: {text} does not say in which time zone; write it as {_example(now)}")
    if moment <= now:
        raise CommandError(
            f"--at: {text} is past, now it is {now:%Y-%m-%dT%H:%M:%SZ}; without --at it starts at once"
        )
    return text


def _example(now: datetime) -> str:
    return f"{now + _SOON:%Y-%m-%dT%H:%M:%SZ}"


def split_device_ids(text: str) -> list[str]:
    """Return the ids in a list such as `a,b`."""
    return [name for name in (part.strip() for part in text.split(",")) if name]


def parse_downbeat(text: str) -> tuple[str, str]:
    """Return the track and its start time from `TRACK@TIME`: the track that plays, and when it began to play.

    Raises:
        CommandError: the text has another form.
    """
    track_id, at, started_at = text.partition("@")
    if not (track_id and at and started_at):
        raise CommandError(
            f"--on-downbeat: {text} is no moment: write TRACK@TIME, the time when the track began to play"
        )
    return track_id, started_at


def parse_override(text: str) -> JsonObject:
    """Return the override in `GATE=REASON` for every device, or in `GATE:DEVICE=REASON` for one.

    Raises:
        CommandError: the text has another form.
    """
    target, equals, reason = text.partition("=")
    gate, colon, device_id = target.partition(":")
    if not (gate and equals and reason) or (colon and not device_id):
        raise CommandError(f"--override: {text} is no override: write GATE=REASON, or GATE:DEVICE=REASON")
    return {"gate": gate, "reason": reason, **({"device_id": device_id} if device_id else {})}


def build_request(
    track_id: str,
    version: int,
    *,
    device_ids: Sequence[str] | None,
    group: str | None,
    strategy: JsonObject,
    activation: JsonObject | None,
    overrides: Iterable[str],
    requested_by: str,
    dry_run: bool,
) -> JsonObject:
    """Return the body of the request.

    Raises:
        CommandError: an override has the wrong form.
    """
    return {
        "track_id": track_id,
        "version": version,
        **({"group": group} if device_ids is None else {"device_ids": list(device_ids)}),
        "strategy": strategy,
        **({"activation": activation} if activation else {}),
        "overrides": [parse_override(text) for text in overrides],
        "requested_by": requested_by,
        **({"dry_run": True} if dry_run else {}),
    }
