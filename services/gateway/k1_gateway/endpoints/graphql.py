"""Lists the endpoints of GraphQL."""

from typing import Final

from k1_gateway.graphql.endpoint import run_graphql, subscribe
from k1_gateway.graphql.schema import GraphQLRequest, GraphQLResponse
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.problem_texts import BODY_PROBLEMS, UNSAFE

GRAPHQL: Final = (
    Endpoint(
        "POST", "/graphql", "runGraphQL", "GraphQL",
        "Run a GraphQL query or mutation: several things in one request, with the fields that are asked for. "
        "`/graphql` is a page to try it, docs/schema.graphql the schema",
        run_graphql, document=("request", GraphQLRequest),
        responses={200: ("What could be read; `errors` names what could not", GraphQLResponse)},
        problems={**BODY_PROBLEMS, 422: "`invalid_body`"}, refuses_changes=True,
    ),
    Endpoint(
        "GET", "/graphql", "subscribeGraphQL", "GraphQL",
        "Subscriptions over a WebSocket with the subprotocol `graphql-transport-ws`",
        subscribe, responses={101: ("The connection is a WebSocket now", None)},
        problems={403: UNSAFE[403], 426: "`upgrade_required`: this is a WebSocket"}, rate_limit="streams",
    ),
)  # fmt: skip
