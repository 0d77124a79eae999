"""Turns errors of the HTTP API into sentences for the terminal, which name options instead of request fields."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, cast

from k1_cli.json_types import JsonObject

_OPTIONS: Final[Mapping[str, str]] = {
    "strategy.canary": "--canary",
    "strategy.batch_size": "--batch-size",
    "strategy.max_failures": "--max-failures",
    "strategy.observe_seconds": "--observe",
    "activation.downbeat": "--on-downbeat",
    "activation": "--at",
    "overrides": "--override",
    "device_ids": "--devices",
    "device_id": "--device",
    "requested_by": "--by",
    "tags": "--tag",
    "track_id": "TRACK",
    "deployment_id": "ID",
    "group": "--group",
    "version": "--version",
    "reason": "--reason",
    "title": "--title",
    "artist": "--artist",
    "preset": "--preset",
    "priority": "--priority",
    "search": "--search",
    "limit": "--limit",
    "status": "--status",
    "graph": "--graph",
}
_TYPE_NAMES: Final[Mapping[str, str]] = {"String": "the text", "List": "the list", "Input": "it"}
_LEADING_TYPE: Final = re.compile(rf"^(?:{'|'.join(_TYPE_NAMES)})(?= should)")
_INVALID_REQUEST: Final = frozenset({"invalid_body", "invalid_parameter", "invalid_form"})
_BLOCKED_ADVICE: Final = (
    "Mend that, leave these devices out, let --max-failures allow for them, or pass a gate with "
    "--override GATE=REASON"
)


def describe_problem(problem: JsonObject, status: int) -> str:
    """Return a problem document (RFC 9457) as the sentence that is printed after `k1: `."""
    code = problem.get("code", status)
    errors = cast("list[JsonObject]", problem.get("errors") or [])
    if code in _INVALID_REQUEST and errors:
        return "; ".join(_error_lines(errors))
    if code == "deployment_blocked":
        found = "".join(f"\n  {error['name']}: {error['message']}" for error in errors)
        return f"the deployment would not start:{found or ' there is no device to take it'}\n{_BLOCKED_ADVICE} ({code})"
    sentence = problem.get("detail") or problem.get("title") or "no reason given"
    violations = cast("list[JsonObject]", problem.get("violations") or [])
    rules = [
        f"\n  {each['severity']} {each['rule']}: {each['message']}. {each['fix']}" for each in violations
    ]
    return f"{sentence} ({code}){''.join(rules)}"


def option_of(field: str) -> str:
    """Return the option of a request field.

    `--canary` for `strategy.canary`, `--max-failures` for `body.strategy.max_failures.constrained-int`.
    """
    name = field.removeprefix("body.")
    if name.startswith("graph."):
        return f"--graph, {name.removeprefix('graph.')}"
    known = (option for path, option in _OPTIONS.items() if name == path or name.startswith(f"{path}."))
    return next(known, field)


def _error_lines(errors: Sequence[JsonObject]) -> Iterator[str]:
    """Yield one line per option: a field that may be a number or a text has an error for each type."""
    by_option: dict[str, list[str]] = {}
    for error in errors:
        sentence = _LEADING_TYPE.sub(lambda found: _TYPE_NAMES[found[0]], error["message"])
        by_option.setdefault(option_of(error["name"]), []).append(sentence)
    for option, messages in by_option.items():
        yield f"{option}: {', or '.join(dict.fromkeys(messages))}"
