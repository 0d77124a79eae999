"""Turns an HTTP request into the query for the owner, and names every fault of the request at once."""

import json
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final, TypeVar, cast

from aiohttp import web
from pydantic import BaseModel, ValidationError

from k1_contracts.base import NO_NUL, NOT_BLANK, Contract
from k1_gateway.errors import Fault, ProblemError
from k1_gateway.feed.event_types import TOPIC_PATTERN
from k1_gateway.feed.position import POSITION_PATTERN
from k1_gateway.http.json_body import MalformedJsonError, UnusableJsonError, parse_json
from k1_platform.http.body import read_body

Q = TypeVar("Q", bound=Contract)
COMMA_LISTS: Final = frozenset({"fields", "layers", "topics"})
"""Parameters that hold several values, separated by commas."""
MAX_KEY_LENGTH: Final = 255
_RAW_BODY: Final = web.RequestKey("raw_body", bytes)
MAX_EVENT_ID: Final = 2**63 - 1
_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]{0,30})")
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_TIME: Final = re.compile(
    r"(19|20)\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)", re.ASCII
)
_BOOLEANS: Final = {"true": True, "false": False}
_MAX_TYPE_LENGTH: Final = 100
_MAX_FAULTS: Final = 50
"""Faults in one response; a list may hold ten thousand wrong items."""
_ID_PATTERN: Final = re.compile(r"\^[a-z]{3}_")
_PATTERN_HINTS: Final = {
    "^[A-Za-z0-9_-]{1,40}$": "must be 1 to 40 of A-Z a-z 0-9 - _",
    NO_NUL: "must not hold the character NUL",
    NOT_BLANK: "must hold something to read, and not the character NUL",
    POSITION_PATTERN: "is no id of an event; use one that an event had, or none",
    TOPIC_PATTERN: "is no topic; topics are jobs, alarms, fleet, activity, track:ID, device:ID, deployment:ID",
}


def build_query(
    request: web.Request, model: type[Q], *, params: Sequence[str] = (), extra: dict[str, Any] | None = None
) -> Q:
    """Build the query from the path, the URL parameters named in `params`, and `extra`, which is JSON.

    Values are converted only as the OpenAPI document describes.

    Raises:
        ProblemError: `invalid_parameter` (422).
    """
    given, faults = _parse_params(request, model, params)
    texts = given | dict(request.match_info)
    values = {name: _parse_value(model, name, text) for name, text in texts.items()}
    values |= {
        name: _with_integers(value) if json_type(model, name) in {"integer", "array"} else value
        for name, value in (extra or {}).items()
    }
    try:
        query = model.model_validate(values, strict=True)
    except ValidationError as error:
        raise _invalid([*faults, *_faults(error)], "invalid_parameter") from error
    if faults:
        raise _invalid(faults, "invalid_parameter")
    return query


async def read_body_fields(request: web.Request, fields: Sequence[str]) -> dict[str, Any]:
    """Return the JSON object of the body, which may have only these fields. An empty body is an empty object.

    Raises:
        ProblemError: `unsupported_media_type` (415), `malformed_json` (400) or `invalid_body` (422).
    """
    raw = await _read_json_bytes(request)
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
    """Return the JSON body as this model. Nothing is converted; unknown fields are rejected at any depth.

    Raises:
        ProblemError: `unsupported_media_type` (415), `malformed_json` (400) or `invalid_body` (422).
    """
    body = await read_json(request)
    if not isinstance(body, dict):
        raise ProblemError("invalid_body", 422, "The body must be a JSON object.")
    try:
        return model.model_validate_json(json.dumps(_with_integers(body)), strict=True, extra="forbid")
    except ValidationError as error:
        raise _invalid(list(_faults(error)), "invalid_body") from error


async def read_json(request: web.Request) -> object:
    """Return the JSON of the body, None for an empty body.

    Raises:
        ProblemError: `unsupported_media_type` (415), `malformed_json` (400) or, for values that no service can use,
            `invalid_body` (422).
    """
    return _parsed(await _read_json_bytes(request))


async def read_raw(request: web.Request) -> bytes:
    """Return the bytes of the body; whoever asks again gets them again."""
    if _RAW_BODY not in request:
        request[_RAW_BODY] = await read_body(request)
    return request[_RAW_BODY]


async def _read_json_bytes(request: web.Request) -> bytes:
    raw = await read_raw(request)
    if raw and request.content_type != "application/json":
        detail = f"The body is {request.content_type[:_MAX_TYPE_LENGTH]}; send application/json."
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
    """Return the header Idempotency-Key, if there is one; raise ProblemError when its length is wrong."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not 0 < len(key) <= MAX_KEY_LENGTH:
        fault = Fault(name="Idempotency-Key", message=f"must have 1 to {MAX_KEY_LENGTH} characters")
        raise _invalid([fault], "invalid_parameter")
    return key


def _parse_params(
    request: web.Request, model: type[BaseModel], known: Sequence[str]
) -> tuple[dict[str, Any], list[Fault]]:
    """Return the texts of the parameters, a list of texts for one that may be repeated, and the faults."""
    values: dict[str, Any] = {}
    faults: list[Fault] = []
    for name in dict.fromkeys(request.query):
        given = request.query.getall(name)
        if name not in known:
            faults.append(_unknown(name, known, "parameter"))
        elif is_repeated(model, name):
            values[name] = given
        elif len(given) > 1:
            faults.append(Fault(name=name, message="is given more than once"))
        else:
            values[name] = given[0]
    return values, faults


def is_repeated(model: type[BaseModel], name: str) -> bool:
    """Return whether a parameter holds a list and is given once for each value."""
    return name not in COMMA_LISTS and json_type(model, name) == "array"


def _parse_value(model: type[BaseModel], name: str, text: str | list[str]) -> object:
    return text if isinstance(text, list) else parse_text(model, name, text)


def parse_text(model: type[BaseModel], name: str, text: str) -> object:
    """Return the value of a text from a URL or header, parsed by the type of the model's field.

    Numbers and booleans are written as in JSON. Any other text is returned as it is, and the model rejects it.
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
        case "string" if _is_time(model, name):
            return _time(text)
        case _:
            return text


def _time(text: str) -> object:
    """Return the time of an RFC 3339 text; any other text stays one, and the model rejects it."""
    try:
        return datetime.fromisoformat(text) if _TIME.fullmatch(text) else text
    except ValueError:
        return text


def _with_integers(value: Any) -> Any:
    """Return the JSON with whole floats as integers: in JSON, 5.0 is the integer 5."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_with_integers(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {name: _with_integers(item) for name, item in cast("dict[str, Any]", value).items()}
    return value


@cache
def _is_time(model: type[BaseModel], name: str) -> bool:
    """Return whether a field is a time."""
    schema = model.model_json_schema()["properties"].get(name, {})
    return any(choice.get("format") == "date-time" for choice in schema.get("anyOf", [schema]))


@cache
def json_type(model: type[BaseModel], name: str) -> str | None:
    """Return the JSON type of a field, ignoring null; None for several types and for unknown fields."""
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


def describe_faults(error: ValidationError) -> str:
    """Return the faults of a message as one text."""
    faults = list(_faults(error))[:_MAX_FAULTS]
    return f"Correct this and send again: {'; '.join(f'{each.name}: {each.message}' for each in faults)}."


def _pattern_hint(pattern: str, message: str) -> str:
    if _ID_PATTERN.match(pattern):
        return "is no id of this kind; ids look like trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD"
    return _PATTERN_HINTS.get(pattern, message)


def _invalid(faults: list[Fault], code: str) -> ProblemError:
    shown = faults[:_MAX_FAULTS]
    text = "; ".join(f"{fault.name}: {fault.message}" for fault in shown)
    more = f"; and {len(faults) - len(shown)} more" if len(faults) > len(shown) else ""
    return ProblemError(code, 422, f"Correct this and send again: {text}{more}.", errors=shown)
