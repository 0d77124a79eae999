"""The index of the gateway: the endpoints by subject, and the routes that are made from them.

Who may call an endpoint stands in its row: `public`, or the role of its query. Credentials of devices are created and revoked only
on the command line (`k1 devices`), never over HTTP. `/livez`, `/readyz` and `/metrics` come from the platform.
"""

from typing import Final

from aiohttp import web

from k1_gateway.about.documents import get_docs_page
from k1_gateway.endpoints.about import ABOUT
from k1_gateway.endpoints.accounts import ACCOUNTS
from k1_gateway.endpoints.alarms import ALARMS
from k1_gateway.endpoints.catalogue.artefacts import ARTEFACTS
from k1_gateway.endpoints.catalogue.beats import BEATS
from k1_gateway.endpoints.catalogue.exports import EXPORTS
from k1_gateway.endpoints.catalogue.graphs import GRAPHS
from k1_gateway.endpoints.catalogue.jobs import JOBS
from k1_gateway.endpoints.catalogue.media import MEDIA
from k1_gateway.endpoints.catalogue.storage import STORAGE
from k1_gateway.endpoints.catalogue.tracks import TRACKS
from k1_gateway.endpoints.catalogue.uploads import UPLOADS
from k1_gateway.endpoints.deployments import DEPLOYMENTS
from k1_gateway.endpoints.devices import DEVICES
from k1_gateway.endpoints.graphql import GRAPHQL
from k1_gateway.endpoints.live import LIVE
from k1_gateway.endpoints.telemetry import TELEMETRY
from k1_gateway.endpoints.webhooks import WEBHOOKS
from k1_gateway.graphql.endpoint import make_page_routes as make_graphql_page_routes
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.routing import make_api_routes
from k1_gateway.page.routes import make_page_routes

ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    *TRACKS,
    *UPLOADS,
    *EXPORTS,
    *MEDIA,
    *ARTEFACTS,
    *STORAGE,
    *GRAPHS,
    *BEATS,
    *JOBS,
    *DEVICES,
    *ALARMS,
    *DEPLOYMENTS,
    *TELEMETRY,
    *LIVE,
    *ACCOUNTS,
    *WEBHOOKS,
    *GRAPHQL,
    *ABOUT,
)


def make_routes(context: GatewayContext) -> list[web.RouteDef]:
    """Return every route that the gateway serves: the API, the pages that describe it, and the web page."""
    return [
        *make_api_routes(context, ENDPOINTS),
        *make_graphql_page_routes(),
        web.get("/docs", get_docs_page),
        *make_page_routes(context),
    ]
