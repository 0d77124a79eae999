"""The type `Endpoint`: one row of the tables in `endpoints`, from which the routes and the OpenAPI document are made."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel

from k1_contracts.actors import Role
from k1_contracts.base import Contract
from k1_contracts.descriptors import AnyQuery
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.problem_texts import (
    EVERYWHERE,
    LIMITED,
    MAINTENANCE,
    REPEATED,
    RESTRICTED,
    UNAVAILABLE,
    UNSAFE,
    UNSAFE_RESTRICTED,
)
from k1_gateway.settings import LimitKind
from k1_platform.nats.queries.rpc import REQUEST_TIMEOUT_S

BASE_PATH = "/api/v1"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
Repeats = Literal["stored", "owned", "same"]
"""What answers a repeated change: the answer that the gateway stored under the Idempotency-Key; the owner of the data or
the handler, which know the key; or, without a key, the same answer because the change is the same."""
EndpointHandler = Callable[[GatewayContext, web.Request, "Endpoint"], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class HeaderText:
    """A header in the OpenAPI document."""

    description: str
    pattern: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation of the API."""

    method: Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    """Below BASE_PATH; `{name}` is a field of the query model."""
    operation_id: str
    tag: str
    summary: str
    handler: EndpointHandler
    responses: dict[int, tuple[str, type[BaseModel] | None]]
    """Status -> description and model of the body. Without a model there is no body."""
    problems: dict[int, str]
    """Status -> codes and when they occur."""
    query: AnyQuery[Any] | None = None
    """The query that the request becomes; the handler sends it to its service."""
    parameter_model: type[Contract] | None = None
    """The model of the parameters, where it is not the query's own."""
    query_params: tuple[str, ...] = ()
    """Fields of the query model that are parameters of the URL."""
    body_fields: tuple[str, ...] = ()
    """Fields of the query model that the JSON body may have."""
    fixed_fields: dict[str, Any] = field(default_factory=dict[str, Any])
    """Values of the query model that this endpoint sets, whatever the client sends."""
    document: tuple[str, type[BaseModel]] | None = None
    """Name and model of the JSON body where the whole body is one document."""
    body_media_type: str | None = None
    """The media type of a body that is only bytes."""
    form: type[BaseModel] | None = None
    """Fields of the multipart form beside the file."""
    repeats: Repeats | None = None
    """What answers a repeated change; by default `stored` for changes by people who are signed in."""
    cacheable: bool = False
    takes_if_match: bool = False
    """Whether `If-Match` guards against lost updates."""
    request_headers: dict[str, HeaderText] = field(default_factory=dict[str, HeaderText])
    """Further headers of the request."""
    response_headers: dict[int, dict[str, HeaderText]] = field(
        default_factory=dict[int, dict[str, HeaderText]]
    )
    """Further headers of the responses, by status."""
    takes_last_event_id: bool = False
    """Whether `Last-Event-ID` names the last event that the client has received."""
    timeout_s: float = REQUEST_TIMEOUT_S
    """How long the gateway waits for the response of the owner."""
    media_type: str = "application/json"
    """Of a response with a body. For `text/event-stream`, the model is one event of the stream."""
    binary_types: tuple[str, ...] = ()
    """Media types of a body that is no JSON, for responses without a model, or beside the model."""
    takes_range: bool = False
    """Whether `Range` and `If-Range` select a part of the body."""
    rate_limit: LimitKind | Literal["default", "unlimited"] = "default"
    """The allowance that a request consumes; by default `reads` or `changes`."""
    role: Role | None = None
    """The lowest role that may call it, where it is not the query's own."""
    public: bool = False
    """Whether anyone may call it, without signing in."""
    refuses_changes: bool = False
    """Whether the handler itself refuses the changes among its requests while a backup is made."""

    @property
    def least_role(self) -> Role:
        """Return the lowest role that may call it."""
        if self.role is not None:
            return self.role
        return "viewer" if self.query is None else self.query.role

    @property
    def answers_repeats(self) -> Repeats | None:
        """Return what answers a repeated change; None for what changes nothing, and for signing in and out."""
        if self.repeats is None and not self.public and self.method not in _SAFE:
            return "stored"
        return self.repeats

    @property
    def is_change(self) -> bool:
        """Return whether a request is refused while a backup keeps changes out."""
        return self.method not in _SAFE and not self.refuses_changes

    @property
    def takes_idempotency_key(self) -> bool:
        """Return whether `Idempotency-Key` has an effect."""
        return self.answers_repeats in {"stored", "owned"}

    @property
    def takes_json(self) -> bool:
        """Return whether the body is JSON, or none."""
        return self.query is not None or self.document is not None

    @property
    def limit(self) -> LimitKind | None:
        """Return the allowance that a request consumes, None for none."""
        if self.rate_limit == "default":
            return "reads" if self.method in _SAFE else "changes"
        return None if self.rate_limit == "unlimited" else self.rate_limit

    @property
    def is_stream(self) -> bool:
        """Return whether its responses last, so that they have to end with the session of their reader."""
        return self.rate_limit == "streams"

    @property
    def is_literal(self) -> bool:
        """Return whether the path has no field."""
        return "{" not in self.path

    @property
    def query_model(self) -> type[Contract] | None:
        """Return the model that is built from the path, the parameters and the body."""
        if self.parameter_model is not None:
            return self.parameter_model
        return None if self.query is None else self.query.model

    @property
    def status(self) -> int:
        """Return the status of the first response."""
        return next(iter(self.responses))

    def general_problems(self) -> dict[int, str]:
        """Return the problems that the gateway itself may return for a request of this method, limit and role."""
        found = EVERYWHERE | (LIMITED if self.limit else {})
        if self.is_change:
            found |= MAINTENANCE
        if self.answers_repeats == "stored":
            found |= REPEATED | {
                each: text for each, text in UNAVAILABLE.items() if each not in self.problems
            }
        if self.public:
            return found | (UNSAFE if self.method not in _SAFE else {})
        return found | (UNSAFE_RESTRICTED if self.method not in _SAFE else RESTRICTED)
