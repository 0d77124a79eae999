"""Makes GraphQL types from the models of the contracts, so that each field stands in one place.

A model becomes a type of the same name. Its fields keep their names in snake_case, as in the HTTP API, and their
docstrings. Models are returned as they are; nothing is copied.
"""

import ast
import inspect
import re
import textwrap
import types
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Final, Literal, TypeVar, Union, cast, get_args, get_origin

import strawberry
from pydantic import BaseModel
from strawberry.scalars import JSON
from typing_extensions import TypeAliasType

_ENUM_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SCALARS: Final[Mapping[Any, Any]] = {str: str, int: int, float: float, bool: bool, datetime: datetime}
_types: Final[dict[type[BaseModel], Any]] = {}
_enums: Final[dict[tuple[str, ...], Any]] = {}
M = TypeVar("M", bound=BaseModel)


def graphql_type(model: type[M], *, extend: type | None = None) -> type[M]:
    """Return the GraphQL type of a model. `extend` is a class with further fields, which are resolved.

    For the type checker the result is the model, as its objects are what resolvers return.
    """
    if model in _types:
        return _types[model]
    namespace: dict[str, Any] = {"__doc__": inspect.getdoc(model), "__annotations__": {}}
    documents = _field_documents(model)
    for name, field in model.model_fields.items():
        namespace["__annotations__"][name] = output_type(field.annotation, name)
        description = field.description or documents.get(name)
        namespace[name] = strawberry.field(description=description)
    made = type(model.__name__, (extend,) if extend else (), namespace)
    description = inspect.cleandoc(model.__doc__) if model.__doc__ and "BaseModel" not in model.__doc__ else None
    _types[model] = strawberry.type(made, name=model.__name__, description=description)
    return _types[model]


def output_type(annotation: Any, name: str) -> Any:
    """Return the GraphQL type of a field; `name` names the enumeration of its values."""
    if isinstance(annotation, TypeAliasType):
        return output_type(annotation.__value__, name)
    origin = get_origin(annotation)
    if origin is Annotated:
        return output_type(get_args(annotation)[0], name)
    if origin is Literal:
        return _enum(tuple(get_args(annotation)), name)
    if origin in {Union, types.UnionType}:
        return _union(get_args(annotation), name)
    if origin in {list, tuple, set, frozenset}:
        return list[output_type(get_args(annotation)[0], name)]  # type: ignore[misc]
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return graphql_type(annotation)
    return _SCALARS.get(annotation, JSON)


def _union(members: Iterable[Any], name: str) -> Any:
    """Return an optional type; a union of several types becomes JSON."""
    wanted = [member for member in members if member is not types.NoneType]
    inner = output_type(wanted[0], name) if len(wanted) == 1 else JSON
    return inner | None if len(wanted) < len(list(members)) else inner


def _enum(values: tuple[Any, ...], name: str) -> Any:
    """Return an enumeration of texts, the same for the same values; other values stay texts."""
    if not all(isinstance(value, str) and _ENUM_NAME.fullmatch(value) for value in values):
        return str
    if values not in _enums:
        taken = {made.__name__ for made in _enums.values()}
        wanted = "".join(part.title() for part in name.split("_")) + "Value"
        number = next(n for n in range(1, 100) if f"{wanted}{n if n > 1 else ''}" not in taken)
        made = Enum(f"{wanted}{number if number > 1 else ''}", {value: value for value in values}, type=str)
        _enums[values] = strawberry.enum(made)
    return _enums[values]


def _field_documents(model: type[BaseModel]) -> dict[str, str]:
    """Return the docstring under each field of a model and of its bases."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if not issubclass(base, BaseModel) or base is BaseModel:
            continue
        body = cast("ast.ClassDef", ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]).body
        for field, document in zip(body, body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                text = document.value if isinstance(document, ast.Expr) else None
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    found[field.target.id] = inspect.cleandoc(text.value)
    return found
