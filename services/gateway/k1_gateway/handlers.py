"""The index of the gateway: the endpoints by subject, and the routes that are made from them.

There is no sign-in yet: `requested_by` is what the caller writes. Credentials of devices are created and revoked only
on the command line (`k1 devices`), never over HTTP. `/livez`, `/readyz` and `/metrics` come from the platform.
"""

from typing import Final

from aiohttp import web

from k1_gateway.about.documents import get_docs_page, redirect_to_docs
from k1_gateway.endpoints.about import ABOUT
from k1_gateway.endpoints.artefacts import ARTEFACTS
from k1_gateway.endpoints.deployments import DEPLOYMENTS
from k1_gateway.endpoints.devices import DEVICES
from k1_gateway.endpoints.exports import EXPORTS
from k1_gateway.endpoints.graphs import GRAPHS
from k1_gateway.endpoints.jobs import JOBS
from k1_gateway.endpoints.live import LIVE
from k1_gateway.endpoints.tracks import TRACKS
from k1_gateway.endpoints.uploads import UPLOADS
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.routing import make_api_routes

ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    *TRACKS,
    *UPLOADS,
    *EXPORTS,
    *ARTEFACTS,
    *GRAPHS,
    *JOBS,
    *DEVICES,
    *DEPLOYMENTS,
    *LIVE,
    *ABOUT,
)


def make_routes(context: GatewayContext) -> list[web.RouteDef]:
    """Return every route that the gateway serves: the API, the page that describes it, and the way to the page."""
    return [
        *make_api_routes(context, ENDPOINTS),
        web.get("/docs", get_docs_page),
        web.get("/", redirect_to_docs),
    ]
