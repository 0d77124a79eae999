"""Turns the errors of services into GraphQL errors with the same stable code as in the HTTP API."""

from typing import Final

from graphql import GraphQLError

from k1_gateway.errors import ProblemError
from k1_platform.nats.queries.rpc import QueryError

CODE: Final = "code"


def graphql_error(error: QueryError) -> GraphQLError:
    """Return the error with `code` and `status` among its extensions."""
    return GraphQLError(str(error), extensions={CODE: error.code, "status": error.status})


def graphql_problem(problem: ProblemError) -> GraphQLError:
    """Return a problem of the gateway itself as an error of a field."""
    return GraphQLError(str(problem), extensions={CODE: problem.code, "status": problem.status})


def is_internal(error: GraphQLError) -> bool:
    """Return whether the error is a fault of ours, whose text no client gets."""
    return error.original_error is not None and not isinstance(error.original_error, GraphQLError)
