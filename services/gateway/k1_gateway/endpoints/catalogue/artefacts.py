"""Lists the endpoints of artefacts and of links to them."""

from typing import Final

from k1_contracts.messages.catalogue.storage import (
    ARTEFACT_DELETE,
    ARTEFACT_RESTORE,
    LINK_CREATE,
    LINK_LIST,
    LINK_OPEN,
    LINK_REVOKE,
)
from k1_contracts.messages.catalogue.tracks import ARTEFACT_LIST
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.problem_texts import BODY_PROBLEMS, INVALID, NO_VERSION, PAGED, UNAVAILABLE
from k1_gateway.http.relay import relay
from k1_gateway.media.links import open_link

_ARTEFACT: Final = "/tracks/{track_id}/versions/{version}/artefacts/{artefact_id}"
_NO_ARTEFACT: Final = {**NO_VERSION, 404: "`track_not_found`, `version_not_found` or `artefact_not_found`"}
_BODY_OR_PARAMETER: Final = {422: "`invalid_parameter`, `invalid_body`: every fault is named"}
_LINK_TYPES: Final = (
    "application/json",
    "application/octet-stream",
    "application/cbor",
    "image/png",
    "text/html",
)

ARTEFACTS: Final = (
    Endpoint(
        "GET", "/tracks/{track_id}/versions/{version}/artefacts", "listArtefacts", "Artefacts",
        "Every artefact of a version: signed URLs, small JSON inline, missing and deleted ones named",
        relay, query=ARTEFACT_LIST,
        responses={200: ("The artefacts", ARTEFACT_LIST.response)}, problems=NO_VERSION, cacheable=True,
    ),
    Endpoint(
        "DELETE", _ARTEFACT, "deleteArtefact", "Artefacts",
        "Delete an artefact: 30 seconds to undo, 30 days to restore",
        relay, query=ARTEFACT_DELETE,
        responses={200: ("Deleted", ARTEFACT_DELETE.response)},
        problems={**_NO_ARTEFACT, 409: "`artefact_in_use`: a deployed version needs it"},
    ),
    Endpoint(
        "POST", f"{_ARTEFACT}/restore", "restoreArtefact", "Artefacts", "Restore a deleted artefact",
        relay, query=ARTEFACT_RESTORE, body_fields=("undo_token",),
        responses={200: ("The artefact", ARTEFACT_RESTORE.response)},
        problems={
            **BODY_PROBLEMS, **_NO_ARTEFACT, **_BODY_OR_PARAMETER,
            409: "`undo_expired`: restore without a token", 410: "`artefact_expired`: analyse the song again",
        },
    ),
    Endpoint(
        "POST", f"{_ARTEFACT}/copy-link", "copyLink", "Artefacts",
        "Make a link to an artefact that works without signing in, until it expires or is revoked",
        relay, query=LINK_CREATE, body_fields=("expires_in",),
        responses={201: ("The link; its token is shown only here", LINK_CREATE.response)},
        problems={**BODY_PROBLEMS, **_NO_ARTEFACT, **_BODY_OR_PARAMETER},
    ),
    Endpoint(
        "GET", "/links", "listLinks", "Artefacts", "One's own links that still work; for an admin all",
        relay, query=LINK_LIST, query_params=("limit", "cursor"),
        responses={200: ("A page of links", LINK_LIST.response)}, problems={**PAGED, **UNAVAILABLE},
    ),
    Endpoint(
        "GET", "/links/{token}", "openLink", "Artefacts", "The artefact behind a link, or a part of it",
        open_link, query=LINK_OPEN,
        responses={200: ("The artefact", None), 206: ("The requested part", None)},
        problems={
            **INVALID, **UNAVAILABLE, 404: "`link_not_found`, `object_missing`",
            410: "`link_revoked`, `link_expired`", 416: "`range_not_satisfiable`",
        },
        public=True, cacheable=True, takes_range=True, binary_types=_LINK_TYPES,
    ),
    Endpoint(
        "DELETE", "/links/{token}", "revokeLink", "Artefacts", "Revoke a link by its token or its id, at once",
        relay, query=LINK_REVOKE,
        responses={200: ("Revoked", LINK_REVOKE.response)},
        problems={**INVALID, **UNAVAILABLE, 404: "`link_not_found`"},
    ),
)  # fmt: skip
