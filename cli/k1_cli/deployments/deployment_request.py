"""From the options of `k1 deploy` to the body of `POST /deployments`; what is wrong in it the gateway says."""

import getpass
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from k1_cli.errors import CommandError

JsonObject = dict[str, Any]

_MAX_FAILURES: Final = re.compile(r"[0-9]{1,6}|100%|[0-9]{1,2}%")
_SOON: Final = timedelta(minutes=5)


def login() -> str:
    """Who asks, for the audit trail; in a container the account may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "operator"


def strategy_of(
    canary: int | None, batch_size: int | None, max_failures: str | None, observe: float | None
) -> JsonObject:
    """Only what was given: the rest is the contract's default. `max_failures`: `3` or `10%`.

    Raises:
        CommandError: `max_failures` is neither.
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
    }
    return {name: value for name, value in given.items() if value is not None}


def future_moment(text: str, now: datetime) -> str:
    """Return the time of `--at`, as the API takes it.

    Raises:
        CommandError: it is no time, lacks its zone, or is past.
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


def split_devices(text: str) -> list[str]:
    """`a,b`."""
    return [name for name in (part.strip() for part in text.split(",")) if name]


def split_moment(text: str) -> tuple[str, str]:
    """`TRACK@STARTED_AT`: the track that plays, and when its beginning was played.

    Raises:
        CommandError: it is not of this form.
    """
    track_id, at, started_at = text.partition("@")
    if not (track_id and at and started_at):
        raise CommandError(
            f"--on-downbeat: {text} is no moment: write TRACK@TIME, the time when the track began to play"
        )
    return track_id, started_at


def override_of(text: str) -> JsonObject:
    """`gate=reason` for every device, `gate:device=reason` for one.

    Raises:
        CommandError: it is not of this form.
    """
    what, equals, reason = text.partition("=")
    gate, colon, device_id = what.partition(":")
    if not (gate and equals and reason) or (colon and not device_id):
        raise CommandError(f"--override: {text} is no override: write GATE=REASON, or GATE:DEVICE=REASON")
    return {"gate": gate, "reason": reason, **({"device_id": device_id} if device_id else {})}


def order_of(
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
    """The body; raises CommandError for an override that is none."""
    return {
        "track_id": track_id,
        "version": version,
        **({"group": group} if device_ids is None else {"device_ids": list(device_ids)}),
        "strategy": strategy,
        **({"activation": activation} if activation else {}),
        "overrides": [override_of(text) for text in overrides],
        "requested_by": requested_by,
        **({"dry_run": True} if dry_run else {}),
    }
