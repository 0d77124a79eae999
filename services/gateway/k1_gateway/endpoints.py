"""What an endpoint is: one row of the route table, from which routes and OpenAPI are made."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from aiohttp import web
from pydantic import BaseModel

from k1_contracts.base import Contract
from k1_gateway.api import Api
from k1_gateway.rate_limits import Kind
from k1_platform.rpc import ASK_TIMEOUT_S

BASE_PATH = "/api/v1"
Respond = Callable[[Api, web.Request, "Endpoint"], Awaitable[web.StreamResponse]]

INVALID: Final = {422: "`invalid_parameter`: every fault is named"}
AWAY: Final = {503: "`service_unavailable`: try again", 504: "`service_timeout`: try again"}
BODY_PROBLEMS: Final = {
    400: "`malformed_json`, `bad_request`",
    408: "`request_timeout`: the body did not arrive in time",
    413: "`body_too_large`",
    415: "`unsupported_media_type`",
}
STREAM_END: Final = {204: ("Nothing more will come: it has ended, and the client has its last event", None)}
NO_VERSION: Final = {404: "`track_not_found` or `version_not_found`", **INVALID, **AWAY}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One call of the API."""

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    """Below BASE_PATH; `{name}` is a field of the question."""
    name: str
    """The operation's id."""
    tag: str
    summary: str
    respond: Respond
    answers: dict[int, tuple[str, type[BaseModel] | None]]
    """Status -> description and model; a description alone for what has no JSON body of ours."""
    problems: dict[int, str]
    """Status -> codes and when they come."""
    question: type[Contract] | None = None
    subject: str = ""
    """Whom `respond` asks."""
    query: tuple[str, ...] = ()
    """Fields of the question that are query parameters."""
    body: tuple[str, ...] = ()
    """Fields of the question that the JSON body may have."""
    fixed: dict[str, Any] = field(default_factory=dict[str, Any])
    """Fields of the question that this call is about, whatever the client says."""
    document: tuple[str, type[BaseModel]] | None = None
    """What the whole JSON body is called, and what it should be."""
    form: type[BaseModel] | None = None
    """Fields of the multipart form beside the file."""
    takes_key: bool = False
    """Whether `Idempotency-Key` means something here."""
    cacheable: bool = False
    takes_match: bool = False
    """Whether `If-Match` guards against lost updates."""
    timeout_s: float = ASK_TIMEOUT_S
    """How long the owner may take."""
    media_type: str = "application/json"
    limit: Kind | None = None
    """Whose allowance a request uses up."""

    @property
    def status(self) -> int:
        """Of the first answer."""
        return next(iter(self.answers))

    def edge_problems(self) -> dict[int, str]:
        """What the gateway itself may answer before it asks anybody; of every call."""
        unsafe = {403: "`origin_not_allowed`: a page of another origin"} if self.method != "GET" else {}
        limited = {429: "`rate_limited`: try again after `Retry-After` seconds"} if self.limit else {}
        return {
            **unsafe,
            421: "`host_not_allowed`: the gateway is not known under this host",
            **limited,
            431: "`headers_too_large`",
        }
