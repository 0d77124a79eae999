"""What an endpoint is: one row of the route table, from which routes and OpenAPI are made."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from aiohttp import web
from pydantic import BaseModel

from k1_contracts.base import Contract
from k1_platform.rpc import ASK_TIMEOUT_S

if TYPE_CHECKING:
    from k1_gateway.api import Api

BASE_PATH = "/api/v1"
Respond = Callable[["Api", web.Request, "Endpoint"], Awaitable[web.StreamResponse]]


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
    document: tuple[str, type[BaseModel]] | None = None
    """The field of the question that the whole JSON body is, and what it should be."""
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

    @property
    def status(self) -> int:
        """Of the first answer."""
        return next(iter(self.answers))
