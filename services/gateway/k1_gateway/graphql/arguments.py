"""Checks the arguments of fields with the models of the contracts, and says what is wrong with them."""

from typing import Any, TypeVar

from graphql import GraphQLError
from pydantic import BaseModel, ValidationError

from k1_gateway.graphql.errors import CODE

M = TypeVar("M", bound=BaseModel)


def checked(model: type[M], **values: Any) -> M:
    """Return the model of the values.

    Raises:
        GraphQLError: `invalid_argument`; the message names each wrong argument.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:5])
        raise GraphQLError(
            f"Correct this and send again: {faults}.", extensions={CODE: "invalid_argument"}
        ) from error


def given(**values: Any) -> dict[str, Any]:
    """Return the arguments that have a value; the others keep the defaults of the model."""
    return {name: value for name, value in values.items() if value is not None}
