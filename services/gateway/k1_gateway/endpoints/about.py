"""Lists the endpoints about the gateway itself: health and documents."""

from typing import Final

from k1_gateway.about.documents import Document, get_asyncapi, get_openapi
from k1_gateway.about.health import Health, get_health
from k1_gateway.http.endpoint import Endpoint

ABOUT: Final = (
    Endpoint(
        "GET", "/health", "getHealth", "About", "Every service's readiness",
        get_health, responses={200: ("The readiness of each service", Health)}, problems={}, public=True,
    ),
    Endpoint(
        "GET", "/openapi.json", "getOpenApi", "About", "This API as an OpenAPI 3.1 document",
        get_openapi, responses={200: ("The document", Document)}, problems={}, cacheable=True, public=True,
    ),
    Endpoint(
        "GET", "/asyncapi.json", "getAsyncApi", "About", "The messages of the bus as an AsyncAPI 3 document",
        get_asyncapi, responses={200: ("The document", Document)}, problems={}, cacheable=True, public=True,
    ),
)  # fmt: skip
