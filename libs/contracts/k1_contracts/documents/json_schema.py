"""JSON Schemas of the contracts' models, as OpenAPI and AsyncAPI documents hold them."""

from collections.abc import Iterable
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema
from typing_extensions import override

COMPONENT_REF: Final = "#/components/schemas/{model}"
"""Where both kinds of documents keep their schemas."""


class PlainJsonSchema(GenerateJsonSchema):
    """Leaves out OpenAPI's `discriminator` object: AsyncAPI refuses it, and each choice has a constant anyway."""

    @override
    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        made = super().tagged_union_schema(schema)
        made.pop("discriminator", None)
        return made


def component_schemas(models: Iterable[type[BaseModel]]) -> dict[str, Any]:
    """Return the schemas of these models and of all that they hold, by name, sorted.

    One schema serves both directions: a test holds that a model is read as it is written.
    """
    wanted = dict.fromkeys(models)
    _, made = models_json_schema(
        [(model, "serialization") for model in wanted],
        ref_template=COMPONENT_REF,
        schema_generator=PlainJsonSchema,
    )
    return dict(sorted(made["$defs"].items()))
