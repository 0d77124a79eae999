"""The errors of the gateway as RFC 9457 problems: a stable code, a sentence that says what to do, the trace id."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

from pydantic import BaseModel

from k1_contracts.graph import Violation

RETRYABLE_STATUSES: Final = frozenset({HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})
"""Statuses of problems that pass: the response has Retry-After."""


CHALLENGE: Final = 'Bearer realm="k1"'
"""The value of WWW-Authenticate with a 401."""


class Fault(BaseModel):
    """One parameter or field that cannot be accepted."""

    name: str
    message: str


class Problem(BaseModel):
    """A problem after RFC 9457, with `code`, `trace_id` and, for invalid input, every fault."""

    type: str
    """A URN that names the kind of problem. It is no address of a page."""
    title: str
    status: int
    detail: str
    """What is wrong and what to do about it."""
    code: str
    """A stable name of the kind of problem, for programs."""
    trace_id: str
    errors: list[Fault] | None = None
    violations: list[Violation] | None = None
    """Every rule that a rejected graph breaks."""


class ProblemError(Exception):
    """Raised by a handler, or by what it calls; becomes the response."""

    def __init__(
        self,
        code: str,
        status: int,
        detail: str,
        *,
        errors: Sequence[Fault] = (),
        violations: Sequence[Violation] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.status = status
        self.errors = list(errors)
        self.violations = list(violations)
        self.headers = dict(headers or {})
