"""Lists the endpoints of beats that a person sets."""

from typing import Final

from k1_contracts.messages.catalogue.beats import (
    BEAT_OVERRIDE_GET,
    BEAT_OVERRIDE_REMOVE,
    BEAT_OVERRIDE_SAVE,
    BEATS_PREVIEW,
)
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.problem_texts import BODY_PROBLEMS, INVALID, NO_MAP
from k1_gateway.http.relay import relay
from k1_gateway.tracks.beats import edit_beats, get_beat_override

_PATH: Final = "/tracks/{track_id}/versions/{version}/beat-override"
_EDIT_TIMEOUT_S: Final = 35.0
_CHANGED: Final = "`override_changed`: someone has made a newer version since; read the beats again"
_EDIT_CONFLICTS: Final = (
    "`genesis_pending`: the analysis still runs; `graph_changed`: the graph was edited meanwhile, save again; "
    "`artefact_differs`: the map is not the one that was analysed, analyse again"
)
_BUSY: Final = "`service_unavailable`, `simulation_failed`: try again; nothing was changed"

BEATS: Final = (
    Endpoint(
        "GET", _PATH, "getBeatOverride", "Beats",
        "The beats of a version, and who set them, when and why, how they differ from the automatic ones and how well "
        "these had been found",
        get_beat_override, query=BEAT_OVERRIDE_GET,
        responses={200: ("The beats", BEAT_OVERRIDE_GET.response)},
        problems={**NO_MAP, **INVALID}, cacheable=True,
    ),
    Endpoint(
        "POST", _PATH, "saveBeatOverride", "Beats",
        "Set the beats: a new version with map, show and bundle, ready when this answers. The audio is not analysed again",
        edit_beats, query=BEAT_OVERRIDE_SAVE, body_fields=("beats", "beats_ms", "downbeats", "note"),
        takes_if_match=True, repeats="owned",
        responses={201: ("The new version", BEAT_OVERRIDE_SAVE.response)},
        problems={
            **BODY_PROBLEMS, **NO_MAP,
            404: "`track_not_found`, `version_not_found`, `genesis_missing` or `artefact_missing`",
            409: _EDIT_CONFLICTS, 412: _CHANGED,
            422: "`beats_invalid`: `violations` names every fault; `invalid_parameter`, `invalid_body`, "
            "`idempotency_key_reused`, `simulation_failed`",
            503: _BUSY,
        },
        timeout_s=_EDIT_TIMEOUT_S, rate_limit="edits",
    ),
    Endpoint(
        "DELETE", _PATH, "removeBeatOverride", "Beats",
        "Go back to the automatic beats: a new version with the map of the analysis and the graph of this version",
        edit_beats, query=BEAT_OVERRIDE_REMOVE, takes_if_match=True, repeats="owned",
        responses={200: ("The new version", BEAT_OVERRIDE_REMOVE.response)},
        problems={
            **NO_MAP,
            404: "`track_not_found`, `version_not_found`, `genesis_missing`, `artefact_missing`; `override_missing`: "
            "the beats are the automatic ones already",
            409: _EDIT_CONFLICTS, 412: _CHANGED,
            422: "`invalid_parameter`, `idempotency_key_reused`", 503: _BUSY,
        },
        timeout_s=_EDIT_TIMEOUT_S, rate_limit="edits",
    ),
    Endpoint(
        "POST", f"{_PATH}/preview", "previewBeats", "Beats",
        "The beats that an operation would give, of the version's beats or of those in the body; nothing is saved",
        relay, query=BEATS_PREVIEW,
        body_fields=(
            "operation", "beats", "beats_ms", "downbeats", "phase", "shift_ms", "moves", "anchors", "tempo", "index",
            "beats_per_bar", "from_index", "to_index", "locked",
        ),
        responses={200: ("The beats", BEATS_PREVIEW.response)},
        problems={
            **BODY_PROBLEMS, **NO_MAP,
            422: "`operation_invalid`: it does not fit the beats; `beats_invalid`: `violations` names every fault; "
            "`invalid_parameter`, `invalid_body`",
        },
        rate_limit="edits", repeats="same",
    ),
)  # fmt: skip
