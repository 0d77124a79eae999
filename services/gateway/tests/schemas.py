"""The OpenAPI document of the gateway, and the check of a body against one of its schemas."""

from functools import cache

from jsonschema_rs import Draft202012Validator

from k1_gateway.handlers import ENDPOINTS
from k1_gateway.openapi.document import make_document

DOCUMENT = make_document(ENDPOINTS)


def assert_matches(body: object, schema: str) -> None:
    """Raise `jsonschema_rs.ValidationError` unless the body is valid under the schema of this name."""
    _validator(schema).validate(body)


@cache
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/components/schemas/{schema}", **DOCUMENT})
