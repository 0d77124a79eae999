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
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, Union, cast, get_args, get_origin

import strawberry
from pydantic import BaseModel
from strawberry.scalars import JSON
from typing_extensions import TypeAliasType

from k1_gateway.http.named_types import NAMED_TYPES

_ENUM_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SCALARS: Final[Mapping[Any, Any]] = {str: str, int: int, float: float, bool: bool, datetime: datetime}
_types: Final[dict[type[BaseModel], Any]] = {}
_enums: Final[dict[tuple[str, ...], Any]] = {}


def graphql_type(model: type[BaseModel], *, extend: type | None = None, name: str | None = None) -> Any:
    """Return the GraphQL type of a model; the first call for a model decides.

    `extend`: a class with further fields, which are resolved and take precedence. `name`: by default the model's.
    """
    if model in _types:
        return _types[model]
    namespace: dict[str, Any] = {"__annotations__": {}}
    documents = _field_documents(model)
    resolved = vars(extend).copy() if extend else {}
    for field_name, field in model.model_fields.items():
        if field_name not in resolved:
            namespace["__annotations__"][field_name] = output_type(field.annotation, field_name)
            namespace[field_name] = strawberry.field(description=documents.get(field_name))
    # Strawberry looks the names of types up in the module of the class.
    namespace["__module__"] = extend.__module__ if extend else model.__module__
    namespace |= {key: value for key, value in resolved.items() if not key.startswith("__")}
    made = type(name or model.__name__, (), namespace)
    description = model.__doc__ if "__doc__" in vars(model) else None
    _types[model] = strawberry.type(made, name=made.__name__, description=description)
    return _types[model]


def output_type(annotation: Any, name: str) -> Any:
    """Return the GraphQL type of a field; `name` names the enumeration of its values."""
    annotation = _plain(annotation)
    origin = get_origin(annotation)
    if origin is Literal:
        return _enum(tuple(get_args(annotation)), name)
    if origin in {Union, types.UnionType}:
        return _union(get_args(annotation), name)
    if origin in {list, tuple, set, frozenset}:
        return list[output_type(get_args(annotation)[0], name)]  # type: ignore[misc]
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return graphql_type(annotation)
    return _SCALARS.get(annotation, JSON)


def _plain(annotation: Any) -> Any:
    """Return the annotation without names and metadata around it."""
    while isinstance(annotation, TypeAliasType) or get_origin(annotation) is Annotated:
        annotation = (
            annotation.__value__ if isinstance(annotation, TypeAliasType) else get_args(annotation)[0]
        )
    return annotation


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
        made: Any = Enum(_enum_name(values, name), {value: value for value in values}, type=str)
        _enums[values] = strawberry.enum(made)
    return _enums[values]


def _enum_name(values: tuple[str, ...], field_name: str) -> str:
    """Return the name that the API has for a type with these values, or one made from the name of the field."""
    for name, named in NAMED_TYPES.items():
        if get_args(named) == values:
            return name
    taken = {made.__name__ for made in _enums.values()}
    wanted = "".join(part.title() for part in field_name.split("_")) + "Value"
    return next(name for n in range(1, 100) if (name := f"{wanted}{n if n > 1 else ''}") not in taken)


def _field_documents(model: type[BaseModel]) -> dict[str, str]:
    """Return the docstring under each field of a model and of its bases."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if not issubclass(base, BaseModel) or base is BaseModel:
            continue
        body = cast("ast.ClassDef", ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]).body
        for field, document in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                text = document.value if isinstance(document, ast.Expr) else None
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    found[field.target.id] = inspect.cleandoc(text.value)
    return found
