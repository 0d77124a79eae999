"""Makes the GraphQL schema and runs documents, within limits.

`python -m k1_gateway.graphql` prints the schema, which is committed as docs/schema.graphql.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import strawberry
from graphql import GraphQLError
from pydantic import Field
from strawberry.extensions import MaskErrors, MaxTokensLimiter, ParserCache, SchemaExtension, ValidationCache
from strawberry.schema.config import StrawberryConfig
from strawberry.types.graphql import OperationType

from k1_contracts.base import Contract, JsonObject
from k1_gateway.errors import ProblemError
from k1_gateway.graphql.errors import CODE, graphql_problem, is_internal
from k1_gateway.graphql.limits import MAX_DOCUMENT, MAX_TOKENS, require_within_limits
from k1_gateway.graphql.loaders import Readers
from k1_gateway.graphql.mutations import Mutation
from k1_gateway.graphql.queries import Query
from k1_gateway.graphql.subscriptions import Subscription

_FAULT: Final = "The gateway failed; it was logged."
_KEPT_DOCUMENTS: Final = 100
"""Clients send the same few documents; parsing and validating one takes longer than running it."""
TIMEOUT_S: Final = 25.0
"""How long one document may take; longer than the longest query of a service that it sends."""


class GraphQLRequest(Contract):
    """A GraphQL document with its variables."""

    query: str = Field(min_length=1, max_length=MAX_DOCUMENT)
    variables: JsonObject = Field(default_factory=dict)
    operationName: str | None = None  # noqa: N815  the name of the GraphQL over HTTP specification
    """Which operation of the document to run, if it has several."""


class GraphQLResponse(Contract):
    """What could be read, and the errors of the rest."""

    data: JsonObject | None = None
    errors: list[JsonObject] | None = None
    """Each with `message`, `path`, and the stable `code` in `extensions`."""


class _Limits(SchemaExtension):
    """Refuses documents that ask for too much, before anything is read."""

    def on_execute(self) -> Iterator[None]:
        context = self.execution_context
        document = context.graphql_document
        if document is not None:
            require_within_limits(document, context.variables or {})
        yield


class _Maintenance(SchemaExtension):
    """Refuses mutations while a backup keeps changes out."""

    async def on_execute(self) -> AsyncIterator[None]:
        context = self.execution_context
        if context.operation_type is OperationType.MUTATION:
            readers: Readers = context.context
            try:
                await readers.gateway.require_changes_allowed()
            except ProblemError as problem:
                raise graphql_problem(problem) from problem
        yield


SCHEMA: Final = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    config=StrawberryConfig(auto_camel_case=False),
    extensions=[
        lambda: MaxTokensLimiter(max_token_count=MAX_TOKENS),
        lambda: ParserCache(maxsize=_KEPT_DOCUMENTS),
        lambda: ValidationCache(maxsize=_KEPT_DOCUMENTS),
        _Limits,
        _Maintenance,
        lambda: MaskErrors(should_mask_error=is_internal, error_message=_FAULT),
    ],
)


async def execute(readers: Readers, request: GraphQLRequest) -> GraphQLResponse:
    """Run a query or a mutation. Errors are part of the response."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            result = await SCHEMA.execute(
                request.query,
                variable_values=request.variables,
                context_value=readers,
                operation_name=request.operationName,
            )
    except TimeoutError:
        message = f"The document took longer than {TIMEOUT_S:.0f} s; ask for less."
        return GraphQLResponse(errors=[{"message": message, "extensions": {CODE: "service_timeout"}}])
    errors = [_formatted(error) for error in result.errors or ()]
    return GraphQLResponse(data=result.data, errors=errors or None)


def _formatted(error: GraphQLError) -> dict[str, Any]:
    formatted: dict[str, Any] = dict(error.formatted)
    formatted.setdefault("extensions", {}).setdefault(
        CODE, "internal_error" if error.message == _FAULT else "invalid_query"
    )
    return formatted
