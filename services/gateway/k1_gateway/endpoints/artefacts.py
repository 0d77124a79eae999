"""Lists the endpoints of artefacts."""

from typing import Final

from k1_contracts.messages.tracks import ARTEFACT_LIST
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.problem_texts import (
    NO_VERSION,
)
from k1_gateway.http.relay import relay

ARTEFACTS: Final = (
    Endpoint(
        "GET", "/tracks/{track_id}/versions/{version}/artefacts", "listArtefacts", "Artefacts",
        "Every artefact of a version: signed URLs, small JSON inline, missing ones named",
        relay, query=ARTEFACT_LIST,
        responses={200: ("The artefacts", ARTEFACT_LIST.response)}, problems=NO_VERSION, cacheable=True,
    ),
)  # fmt: skip
