"""Defines what every query shares: the response with its error, and the paging fields."""

from typing import Annotated, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from k1_contracts.base import Contract
from k1_contracts.graph import Violation

Limit = Annotated[int, Field(ge=1, le=200)]
Offset = Annotated[int, Field(ge=0, le=1_000_000)]
Cursor = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,400}$")]
"""`next_cursor` of the page before, unchanged: base64url."""


class RpcError(Contract):
    """The error of a query. `code` is stable and becomes the code of the HTTP problem."""

    code: str
    message: str
    status: int = Field(ge=400, le=599)
    violations: list[Violation] | None = None
    """Of a graph that was refused: every rule that it breaks."""
    retry_after_s: int | None = Field(default=None, ge=0)
    """Of a request that was refused for now (429): when to try again."""


T = TypeVar("T", bound=BaseModel)


class Response(BaseModel, Generic[T]):
    """Exactly one of a result and an error."""

    model_config = ConfigDict(frozen=True)

    result: T | None = None
    error: RpcError | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.result is None) == (self.error is None):
            raise ValueError("an answer holds either a result or an error")
        return self
