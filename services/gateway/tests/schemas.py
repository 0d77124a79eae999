"""The OpenAPI document of the gateway, and the check of a body against one of its schemas."""

import jsonschema

from k1_gateway.handlers import ENDPOINTS
from k1_gateway.openapi.document import make_document

DOCUMENT = make_document(ENDPOINTS)


def assert_matches(body: object, schema: str) -> None:
    """Raise unless the body is valid under the schema of this name."""
    jsonschema.validate(body, {"$ref": f"#/components/schemas/{schema}", **DOCUMENT})
