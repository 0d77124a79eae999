"""From a request to the question that it asks; every fault is named at once."""

import json
import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Final, TypeVar, cast

from aiohttp import web
from pydantic import BaseModel, ValidationError

from k1_contracts.base import Contract
from k1_gateway.json_body import MalformedJsonError, UnusableJsonError, parse_json
from k1_gateway.problems import Fault, ProblemError
from k1_platform.http.body import read_body

Q = TypeVar("Q", bound=Contract)
COMMA_LISTS: Final = frozenset({"layers"})
"""Parameters that hold several values, with commas between."""
LONGEST_KEY: Final = 255
LARGEST_EVENT_ID: Final = 2**63 - 1
_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]{0,30})")
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_BOOLEANS: Final = {"true": True, "false": False}
_LONGEST_TYPE: Final = 100
_MOST_FAULTS: Final = 50
"""A list may hold ten thousand wrong items."""
_AN_ID: Final = re.compile(r"\^[a-z]{3}_")
_PATTERN_HINTS: Final = {
    "^[A-Za-z0-9_-]{1,40}$": "must be 1 to 40 of A-Z a-z 0-9 - _",
    "^[^\\x00]*$": "must not hold the character NUL",
}


def read_question(
    request: web.Request, model: type[Q], *, query: Sequence[str] = (), extra: dict[str, Any] | None = None
) -> Q:
    """Build the question from the path, the query parameters named in `query`, and `extra`, which is JSON.

    Nothing is converted beyond what the OpenAPI document says.

    Raises:
        ProblemError: `invalid_parameter` (422).
    """
    given, faults = _query_values(request, query)
    texts = given | dict(request.match_info)
    values = {name: from_text(model, name, text) for name, text in texts.items()}
    values |= {
        name: _integral(value) if json_type(model, name) == "integer" else value
        for name, value in (extra or {}).items()
    }
    try:
        question = model.model_validate(values, strict=True)
    except ValidationError as error:
        raise _invalid([*faults, *_faults(error)], "invalid_parameter") from error
    if faults:
        raise _invalid(faults, "invalid_parameter")
    return question


async def read_fields(request: web.Request, fields: Sequence[str]) -> dict[str, Any]:
    """Return the JSON object of the body with only these fields; an empty body is an empty object.

    Raises:
        ProblemError: `unsupported_media_type` (415), `malformed_json` (400) or `invalid_body` (422).
    """
    raw = await _read_raw(request)
    if not raw:
        return {}
    body = _parsed(raw)
    if not isinstance(body, dict):
        raise ProblemError("invalid_body", 422, "The body must be a JSON object.")
    fields_given = cast("dict[str, Any]", body)
    if unknown := [name for name in fields_given if name not in fields]:
        raise _invalid([_unknown(name, fields, "field") for name in unknown], "invalid_body")
    return fields_given


async def read_document(request: web.Request, model: type[Q]) -> Q:
    """Return the JSON body as this model: nothing is converted, unknown fields are refused at any depth.

    Raises:
        ProblemError: `unsupported_media_type` (415), `malformed_json` (400) or `invalid_body` (422).
    """
    body = await read_json(request)
    if not isinstance(body, dict):
        raise ProblemError("invalid_body", 422, "The body must be a JSON object.")
    try:
        return model.model_validate_json(json.dumps(_integral(body)), strict=True, extra="forbid")
    except ValidationError as error:
        raise _invalid(list(_faults(error)), "invalid_body") from error


async def read_json(request: web.Request) -> object:
    """Any JSON; an empty body is None.

    Raises:
        ProblemError: `unsupported_media_type` (415), `malformed_json` (400) or, for values that nothing can use,
            `invalid_body` (422).
    """
    return _parsed(await _read_raw(request))


async def _read_raw(request: web.Request) -> bytes:
    raw = await read_body(request)
    if raw and request.content_type != "application/json":
        detail = f"The body is {request.content_type[:_LONGEST_TYPE]}; send application/json."
        raise ProblemError("unsupported_media_type", 415, detail)
    return raw


def _parsed(raw: bytes) -> object:
    try:
        return parse_json(raw) if raw else None
    except MalformedJsonError as error:
        raise ProblemError("malformed_json", 400, f"The body is not JSON: {error}.") from error
    except UnusableJsonError as error:
        raise _invalid([Fault(name=error.where, message=str(error))], "invalid_body") from error


def idempotency_key(request: web.Request) -> str | None:
    """The header, if it is there; raises ProblemError when it cannot be one."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not 0 < len(key) <= LONGEST_KEY:
        fault = Fault(name="Idempotency-Key", message=f"must have 1 to {LONGEST_KEY} characters")
        raise _invalid([fault], "invalid_parameter")
    return key


def _query_values(request: web.Request, known: Sequence[str]) -> tuple[dict[str, Any], list[Fault]]:
    values: dict[str, Any] = {}
    faults: list[Fault] = []
    for name in dict.fromkeys(request.query):
        given = request.query.getall(name)
        if name not in known:
            faults.append(_unknown(name, known, "parameter"))
        elif len(given) > 1:
            faults.append(Fault(name=name, message="is given more than once"))
        else:
            values[name] = given[0]
    return values, faults


def from_text(model: type[BaseModel], name: str, text: str) -> object:
    """Return the value that a text of a URL or header stands for by the type of the model's field.

    Numbers and booleans are written as in JSON. Any other text stays one, for the model to refuse.
    """
    if name in COMMA_LISTS:
        return text.split(",")
    match json_type(model, name):
        case "integer" if _INTEGER.fullmatch(text):
            return int(text)
        case "number" if _NUMBER.fullmatch(text):
            return float(text)
        case "boolean" if text in _BOOLEANS:
            return _BOOLEANS[text]
        case _:
            return text


def _integral(value: Any) -> Any:
    """Return the same JSON with 5.0 written as 5: both are the integer 5."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_integral(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {name: _integral(item) for name, item in cast("dict[str, Any]", value).items()}
    return value


@cache
def json_type(model: type[BaseModel], name: str) -> str | None:
    """Return the JSON type of a field, null aside; None where it has several or no such field is known."""
    schema = model.model_json_schema()["properties"].get(name, {})
    types = {choice.get("type") for choice in schema.get("anyOf", [schema])} - {"null"}
    return types.pop() if len(types) == 1 else None


def _unknown(name: str, known: Sequence[str], what: str) -> Fault:
    there = f"it has {', '.join(known)}" if known else "it has none"
    return Fault(name=name, message=f"is no {what} of this call; {there}")


def _faults(error: ValidationError) -> Iterable[Fault]:
    for item in error.errors(include_url=False):
        where = ".".join(map(str, item["loc"])) or "request"
        message = item["msg"]
        if item["type"] == "string_pattern_mismatch":
            message = _pattern_hint(item.get("ctx", {}).get("pattern", ""), message)
        yield Fault(name=where, message=message)


def _pattern_hint(pattern: str, message: str) -> str:
    if _AN_ID.match(pattern):
        return "is no id of this kind; ids look like trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD"
    return _PATTERN_HINTS.get(pattern, message)


def _invalid(faults: list[Fault], code: str) -> ProblemError:
    told = faults[:_MOST_FAULTS]
    text = "; ".join(f"{fault.name}: {fault.message}" for fault in told)
    more = f"; and {len(faults) - len(told)} more" if len(faults) > len(told) else ""
    return ProblemError(code, 422, f"Correct this and send again: {text}{more}.", errors=told)
