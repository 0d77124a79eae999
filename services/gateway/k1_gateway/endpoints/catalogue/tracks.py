"""Lists the endpoints of tracks: upload, list, detail, versions, maps."""

from typing import Final

from k1_contracts.messages.catalogue import tracks
from k1_contracts.messages.catalogue.similar import TRACK_SIMILAR
from k1_contracts.messages.catalogue.track_edits import TRACK_BATCH, TRACK_DELETE, TRACK_EDIT, TRACK_RESTORE
from k1_contracts.messages.catalogue.track_history import TRACK_HISTORY, VERSION_COMPARE
from k1_contracts.messages.catalogue.track_uploads import TRACK_COMPLETE, TRACK_CREATE
from k1_contracts.messages.catalogue.tracks import GENESIS_GET, TRACK_GET, TRACK_LIST, VERSION_GET
from k1_contracts.upload_form import UploadForm
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.problem_texts import (
    BODY_PROBLEMS,
    NO_TRACK,
    NO_VERSION,
    PAGED,
    UNAVAILABLE,
    UPLOAD_PROBLEMS,
)
from k1_gateway.http.relay import relay
from k1_gateway.tracks.detail import TrackBatch, TrackPatch, edit_track, get_track, run_batch
from k1_gateway.tracks.genesis import get_genesis
from k1_gateway.tracks.upload import complete_track, upload_track

_BATCH_TIMEOUT_S: Final = 60.0
_NOT_THERE: Final = "`track_deleted`: restore it first; `track_uploading`: its song is on its way"

TRACKS: Final = (
    Endpoint(
        "POST", "/tracks/upload", "uploadTrack", "Tracks",
        "Upload a song: MP3, MP2, WAV, AIFF, FLAC, OGG or M4A up to 50 MB; the same bytes again are the same track",
        upload_track,
        responses={
            202: ("Accepted; its analysis is queued", tracks.UploadAccepted),
            200: ("These bytes are a track already, or a deleted one that is back", tracks.UploadAccepted),
        },
        problems=UPLOAD_PROBLEMS, form=UploadForm, repeats="owned", rate_limit="uploads", role="editor",
    ),
    Endpoint(
        "POST", "/tracks", "createTrack", "Tracks",
        "Create a track and get a URL to which the client sends its song with one PUT, within an hour",
        relay, query=TRACK_CREATE,
        body_fields=("title", "artist", "tags", "preset", "duration_hint"),
        responses={201: ("The track waits for its song", TRACK_CREATE.response)},
        problems={
            422: "`invalid_parameter`: every fault is named; `invalid_form`; `too_long`", **UNAVAILABLE, **BODY_PROBLEMS,
        },
        rate_limit="uploads",
    ),
    Endpoint(
        "POST", "/tracks/{track_id}/complete", "completeTrack", "Tracks",
        "Check the song that was sent to the URL, and analyse it; the same bytes as before are the same track",
        complete_track, query=TRACK_COMPLETE,
        responses={
            202: ("Accepted; its analysis is queued", tracks.UploadAccepted),
            200: (
                "These bytes are another track already, or a deleted one that is back; the created one is removed",
                tracks.UploadAccepted,
            ),
        },
        problems={
            **BODY_PROBLEMS,
            404: "`upload_not_found`: the hour has passed, or there is no such track",
            409: "`song_missing`: PUT the song to the URL first",
            408: "`upload_timeout`; `request_timeout`",
            413: "`too_large`: over 50 MB; `body_too_large`",
            415: "`unsupported_format`: says what the file is; `unsupported_media_type`",
            422: "`empty_file`, `too_short`, `too_long`, `decode_failed`, `invalid_parameter`",
            503: "`busy`, `service_unavailable`: try again",
            504: "`service_timeout`: try again",
        },
        timeout_s=120.0, rate_limit="uploads",
    ),
    Endpoint(
        "GET", "/tracks", "listTracks", "Tracks",
        "List and search tracks. Deleted ones are listed by `status=deleted` alone; `tag` may be repeated",
        relay, query=TRACK_LIST,
        query_params=(
            "status", "preset", "search", "min_f_measure", "max_f_measure", "min_bpm", "max_bpm", "tag", "sort", "limit",
            "offset", "cursor",
        ),
        responses={200: ("A page of tracks", TRACK_LIST.response)},
        problems={**PAGED, **UNAVAILABLE}, cacheable=True,
    ),
    Endpoint(
        "GET", "/tracks/{track_id}", "getTrack", "Tracks",
        "A track with its versions, also a deleted one; with `at`, as it was at that time",
        get_track, query=TRACK_GET, query_params=("at",),
        responses={200: ("The track", TRACK_GET.response)},
        problems={**NO_TRACK, 404: "`track_not_found`; `history_unavailable`: nothing is known about that time"},
        cacheable=True,
    ),
    Endpoint(
        "PATCH", "/tracks/{track_id}", "editTrack", "Tracks",
        "Edit a track: null removes artist, preset, notes or the choice of a version. With `If-Match`, only if no other "
        "edit came first",
        edit_track, query=TRACK_EDIT, document=("changes", TrackPatch), takes_if_match=True,
        responses={200: ("The track as it is now", TRACK_EDIT.response)},
        problems={
            **BODY_PROBLEMS, **UNAVAILABLE,
            404: "`track_not_found`, `version_not_found`",
            409: f"{_NOT_THERE}; `version_unusable`: the version has no map",
            412: "`track_changed`: it was edited since; read it again",
            422: "`invalid_body`, `invalid_parameter`, `invalid_edit`",
        },
        rate_limit="edits",
    ),
    Endpoint(
        "DELETE", "/tracks/{track_id}", "deleteTrack", "Tracks",
        "Delete a track and cancel its jobs. It can be restored for thirty days",
        relay, query=TRACK_DELETE,
        responses={200: ("Deleted; the token undoes it for thirty seconds", TRACK_DELETE.response)},
        problems={
            **NO_TRACK,
            409: "`track_purged`: it is being removed for good; `track_uploading`: without a song it goes within an hour",
        },
        rate_limit="edits",
    ),
    Endpoint(
        "POST", "/tracks/{track_id}/restore", "restoreTrack", "Tracks",
        "Restore a deleted track: anyone with its undo token for thirty seconds, an editor for thirty days",
        relay, query=TRACK_RESTORE, body_fields=("undo_token",),
        responses={200: ("The track is there", TRACK_RESTORE.response)},
        problems={
            **BODY_PROBLEMS, **NO_TRACK,
            403: "`role_required`: the token is not valid any more, and it needs an editor",
            409: "`track_purged`: it is too late", 422: "`invalid_body`, `invalid_parameter`",
        },
        rate_limit="edits",
    ),
    Endpoint(
        "POST", "/tracks/batch", "changeTracks", "Tracks",
        "One action on up to 500 tracks, each with its own result: delete, restore, analyse, tag, untag, set_preset",
        run_batch, query=TRACK_BATCH, document=("batch", TrackBatch), repeats="owned",
        responses={200: ("One result for each track", TRACK_BATCH.response)},
        problems={
            **BODY_PROBLEMS, **UNAVAILABLE,
            422: "`invalid_body`, `invalid_parameter`, `invalid_edit`, `idempotency_key_reused`",
        },
        timeout_s=_BATCH_TIMEOUT_S, rate_limit="edits",
    ),
    Endpoint(
        "GET", "/tracks/{track_id}/history", "getTrackHistory", "Tracks",
        "Who changed a track, when and how, newest first",
        relay, query=TRACK_HISTORY, query_params=("limit", "cursor"),
        responses={200: ("The events", TRACK_HISTORY.response)},
        problems={**NO_TRACK, 422: "`invalid_parameter`, `invalid_cursor`"}, cacheable=True,
    ),
    Endpoint(
        "GET", "/tracks/{track_id}/versions/{version}/compare", "compareVersions", "Tracks",
        "What changed from the version `with`, by default the one before, to this one: figures and beats",
        relay, query=VERSION_COMPARE, query_params=("with",),
        responses={200: ("The differences", VERSION_COMPARE.response)},
        problems={
            **NO_VERSION, 404: "`track_not_found`, `version_not_found` or `genesis_missing`",
            409: "`genesis_pending`: the analysis still runs",
        },
        cacheable=True,
    ),
    Endpoint(
        "GET", "/tracks/{track_id}/similar", "listSimilarTracks", "Tracks",
        "The tracks that sound most like this one, nearest first, and why",
        relay, query=TRACK_SIMILAR, query_params=("limit",),
        responses={200: ("The nearest tracks", TRACK_SIMILAR.response)},
        problems={
            **NO_TRACK, 404: "`track_not_found`, `version_not_found` or `genesis_missing`",
            409: "`genesis_pending`: the analysis still runs",
        },
    ),
    Endpoint(
        "GET", "/tracks/{track_id}/versions/{version}", "getVersion", "Tracks",
        "A version: metadata, metrics, artefacts",
        relay, query=VERSION_GET,
        responses={200: ("The version", VERSION_GET.response)}, problems=NO_VERSION, cacheable=True,
    ),
    Endpoint(
        "GET", "/tracks/{track_id}/versions/{version}/genesis", "getGenesis", "Tracks",
        "The Genesis map, or a slice of it downsampled for a chart",
        get_genesis, query=GENESIS_GET,
        query_params=("layers", "from_ms", "to_ms", "max_points"),
        responses={200: ("The map, version 4; a slice lacks the layers that were not asked for", GENESIS_GET.response)},
        problems={
            409: "`genesis_pending`: the analysis still runs",
            413: "`slice_too_large`: ask for less",
            **UNAVAILABLE,
            404: "`track_not_found`, `version_not_found` or `genesis_missing`",
            422: "`invalid_parameter`: every fault is named; `invalid_request`: from_ms is not before to_ms",
        },
        cacheable=True,
    ),
)  # fmt: skip
