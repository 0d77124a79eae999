"""Lists the endpoints of tracks: upload, list, detail, versions, maps."""

from typing import Final

from k1_contracts.messages import tracks
from k1_contracts.messages.similar import TRACK_SIMILAR
from k1_contracts.messages.track_uploads import TRACK_COMPLETE, TRACK_CREATE
from k1_contracts.messages.tracks import GENESIS_GET, TRACK_GET, TRACK_LIST, VERSION_GET
from k1_contracts.upload_form import UploadForm
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.problem_texts import (
    BODY_PROBLEMS,
    NO_TRACK,
    NO_VERSION,
    UNAVAILABLE,
    UPLOAD_PROBLEMS,
)
from k1_gateway.http.relay import relay
from k1_gateway.tracks.genesis import get_genesis
from k1_gateway.tracks.upload import complete_track, upload_track

TRACKS: Final = (
    Endpoint(
        "POST", "/tracks/upload", "uploadTrack", "Tracks",
        "Upload a song: MP3, MP2, WAV, AIFF, FLAC, OGG or M4A up to 50 MB; the same bytes again are the same track",
        upload_track,
        responses={
            202: ("Accepted; its analysis is queued", tracks.UploadAccepted),
            200: ("These bytes are a track already", tracks.UploadAccepted),
        },
        problems=UPLOAD_PROBLEMS, form=UploadForm, takes_idempotency_key=True, rate_limit="uploads",
        role="editor",
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
            200: ("These bytes are another track already; the created one is removed", tracks.UploadAccepted),
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
        "GET", "/tracks", "listTracks", "Tracks", "List and search tracks",
        relay, query=TRACK_LIST,
        query_params=("status", "preset", "search", "sort", "limit", "offset", "cursor"),
        responses={200: ("A page of tracks", TRACK_LIST.response)},
        problems={422: "`invalid_parameter`, `invalid_cursor`", **UNAVAILABLE}, cacheable=True,
    ),
    Endpoint(
        "GET", "/tracks/{track_id}", "getTrack", "Tracks", "A track with its versions",
        relay, query=TRACK_GET,
        responses={200: ("The track", TRACK_GET.response)}, problems=NO_TRACK, cacheable=True,
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
