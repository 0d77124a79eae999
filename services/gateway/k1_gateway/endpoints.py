"""What an endpoint is: one row of the route table, from which routes and OpenAPI are made."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from aiohttp import web
from pydantic import BaseModel

from k1_contracts.base import Contract
from k1_gateway.api import Api
from k1_gateway.rate_limits import Kind
from k1_platform.nats.rpc import REQUEST_TIMEOUT_S

BASE_PATH = "/api/v1"
Respond = Callable[[Api, web.Request, "Endpoint"], Awaitable[web.StreamResponse]]

INVALID: Final = {422: "`invalid_parameter`: every fault is named"}
AWAY: Final = {503: "`service_unavailable`: try again", 504: "`service_timeout`: try again"}
BODY_PROBLEMS: Final = {
    400: "`malformed_json`",
    408: "`request_timeout`: the body did not arrive in time",
    413: "`body_too_large`",
    415: "`unsupported_media_type`",
}
EVERYWHERE: Final = {
    400: "`bad_request`: the request cannot be read; `client_gone`: the connection ended first",
    421: "`host_not_allowed`: the gateway is not known under this host",
    431: "`headers_too_large`",
    500: "`internal_error`: it was logged under the trace id",
}
"""Problems with which any call may be answered; each call's own are described beside them."""
UNSAFE: Final = {403: "`origin_not_allowed`: a page of another origin"}
LIMITED: Final = {429: "`rate_limited`: try again after `Retry-After` seconds"}
SHARED: Final = {**INVALID, **AWAY, **BODY_PROBLEMS, **EVERYWHERE, **UNSAFE, **LIMITED}
SHARED_RESPONSES: Final = {
    400: "BadRequest",
    403: "OriginNotAllowed",
    408: "RequestTimeout",
    413: "BodyTooLarge",
    415: "UnsupportedMediaType",
    421: "HostNotAllowed",
    422: "InvalidParameter",
    429: "RateLimited",
    431: "HeadersTooLarge",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "ServiceTimeout",
}
"""What the OpenAPI document calls the problems of SHARED."""
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
    """Status -> description and model of the body; no model: no body."""
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
    takes_last_id: bool = False
    """Whether `Last-Event-ID` says where the client stands in the stream."""
    timeout_s: float = REQUEST_TIMEOUT_S
    """How long the owner may take."""
    media_type: str = "application/json"
    """Of an answer with a body; of `text/event-stream`, the model is one event of the stream."""
    limit: Kind | None = None
    """Whose allowance a request uses up."""

    @property
    def is_literal(self) -> bool:
        """Whether the path is one address, without a field."""
        return "{" not in self.path

    @property
    def status(self) -> int:
        """Of the first answer."""
        return next(iter(self.answers))

    def general_problems(self) -> dict[int, str]:
        """What the gateway itself may answer, whatever is asked for."""
        unsafe = UNSAFE if self.method != "GET" else {}
        return {**EVERYWHERE, **unsafe, **(LIMITED if self.limit else {})}
