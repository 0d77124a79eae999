"""Turns errors of the HTTP API into sentences of the command line, in which fields of a request are options."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

JsonObject = dict[str, Any]

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
_NAMES: Final[Mapping[str, str]] = {"String": "the text", "List": "the list", "Input": "it"}
_A_TYPE: Final = re.compile(rf"^(?:{'|'.join(_NAMES)})(?= should)")
_INVALID: Final = frozenset({"invalid_body", "invalid_parameter", "invalid_form"})
_BLOCKED_ADVICE: Final = (
    "Mend that, leave these devices out, let --max-failures allow for them, or pass a gate with "
    "--override GATE=REASON"
)


def describe_problem(problem: JsonObject, status: int) -> str:
    """Return a problem document (RFC 9457) as the sentence that follows `k1: `."""
    code = problem.get("code", status)
    faults = cast("list[JsonObject]", problem.get("errors") or [])
    if code in _INVALID and faults:
        return "; ".join(_fault_lines(faults))
    if code == "deployment_blocked":
        found = "".join(f"\n  {fault['name']}: {fault['message']}" for fault in faults)
        return f"the deployment would not start:{found or ' there is no device to take it'}\n{_BLOCKED_ADVICE} ({code})"
    sentence = problem.get("detail") or problem.get("title") or "no reason given"
    violations = cast("list[JsonObject]", problem.get("violations") or [])
    rules = [
        f"\n  {each['severity']} {each['rule']}: {each['message']}. {each['fix']}" for each in violations
    ]
    return f"{sentence} ({code}){''.join(rules)}"


def option_of(field: str) -> str:
    """Return `--canary` for `strategy.canary`, `--max-failures` for `body.strategy.max_failures.constrained-int`."""
    name = field.removeprefix("body.")
    if name.startswith("graph."):
        return f"--graph, {name.removeprefix('graph.')}"
    known = (option for path, option in _OPTIONS.items() if name == path or name.startswith(f"{path}."))
    return next(known, field)


def _fault_lines(faults: Sequence[JsonObject]) -> Iterator[str]:
    """Each option once: what may be a number or a text is refused as both."""
    by_option: dict[str, list[str]] = {}
    for fault in faults:
        sentence = _A_TYPE.sub(lambda found: _NAMES[found[0]], fault["message"])
        by_option.setdefault(option_of(fault["name"]), []).append(sentence)
    for option, messages in by_option.items():
        yield f"{option}: {', or '.join(dict.fromkeys(messages))}"
