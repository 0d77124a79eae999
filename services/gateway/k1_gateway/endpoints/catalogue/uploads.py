"""Lists the endpoints of resumable uploads after tus 1.0 (https://tus.io/protocols/resumable-upload)."""

from typing import Final

from k1_contracts.base import Contract
from k1_contracts.ids import UploadId
from k1_gateway.http.endpoint import Endpoint, HeaderText
from k1_gateway.http.problem_texts import INVALID, RESUMABLE_PROBLEMS
from k1_gateway.tracks.upload import relay_tus

_NUMBER: Final = "^[0-9]{1,15}$"
_VERSION: Final = HeaderText("The version of the protocol.", "^1\\.0\\.0$", required=True)
_OFFSET: Final = HeaderText("How many bytes have arrived.", _NUMBER, required=True)
_EXPIRES: Final = HeaderText(
    "When the upload is removed, a day after its last bytes came (RFC 9110).", "GMT$"
)
_TRACK: Final = {
    "K1-Track-Id": HeaderText("The track that the whole upload became.", "^trk_"),
    "K1-Job-Id": HeaderText("The job of its analysis.", "^job_"),
    "K1-Upload-Status": HeaderText(
        "`queued` for a new track, `existing` where the same bytes were one already, `restored` where that was deleted.",
        "^(queued|existing|restored)$",
    ),
}
_CAPABILITIES: Final = {
    "Tus-Resumable": HeaderText("The version of the protocol.", "^1\\.0\\.0$"),
    "Tus-Version": HeaderText("The known versions.", "^1\\.0\\.0$"),
    "Tus-Extension": HeaderText("The known extensions.", "^[a-z,-]+$"),
    "Tus-Max-Size": HeaderText("The largest file, in bytes.", _NUMBER),
    "Tus-Checksum-Algorithm": HeaderText("The known algorithms.", "^[a-z0-9,]+$"),
}
_METADATA: Final = HeaderText(
    "Pairs of a key and a value in Base64: `filename`, `filetype`, `title`, `artist`, `tags`, `preset`, `priority`, "
    "as in the form of `uploadTrack`. Other keys are kept and have no effect.",
    "^[ -~]*$",
)
_LENGTH: Final = HeaderText("The size of the file in bytes.", _NUMBER)
_DEFERRED: Final = HeaderText("The size follows with a later PATCH.", "^1$")
_REQUEST: Final = {"Tus-Resumable": _VERSION}
_ANSWER: Final = {"Tus-Resumable": _VERSION}


def _without(*statuses: int) -> dict[int, str]:
    return {status: text for status, text in RESUMABLE_PROBLEMS.items() if status not in statuses}


class UploadPath(Contract):
    """The parameters of the paths of one upload."""

    upload_id: UploadId


UPLOADS: Final = (
    Endpoint(
        "OPTIONS", "/uploads", "describeUploads", "Uploads",
        "What of tus 1.0 is served. A preflight of a browser is answered as such instead",
        relay_tus,
        responses={204: ("The versions, extensions and limits are in the headers", None)},
        problems={502: "`bad_gateway`", 503: "`service_unavailable`: try again"},
        response_headers={204: _CAPABILITIES}, role="viewer",
    ),
    Endpoint(
        "POST", "/uploads", "createUpload", "Uploads", "Begin a resumable upload of a song of up to 50 MB",
        relay_tus,
        responses={201: ("The upload is at `Location`; send its bytes there with PATCH", None)},
        problems=_without(404) | {
            413: "`too_large`: over 50 MB", 422: "`invalid_form`, `empty_file`", 415: "`unsupported_media_type`",
        },
        request_headers={
            **_REQUEST, "Upload-Length": _LENGTH, "Upload-Defer-Length": _DEFERRED, "Upload-Metadata": _METADATA,
        },
        response_headers={
            201: {
                **_ANSWER, "Upload-Expires": _EXPIRES,
                "Location": HeaderText("The path of the upload.", "^/api/v1/uploads/upl_", required=True),
            },
        },
        rate_limit="uploads", role="editor",
    ),
    Endpoint(
        "HEAD", "/uploads/{upload_id}", "showUpload", "Uploads",
        "How much of an upload has arrived, and which track it became. The status tells why a whole file was refused",
        relay_tus, parameter_model=UploadPath,
        responses={200: ("The state is in the headers", None)},
        problems=RESUMABLE_PROBLEMS | {413: "`too_large`"},
        request_headers=_REQUEST,
        response_headers={
            200: {
                **_ANSWER, **_TRACK, "Upload-Offset": _OFFSET, "Upload-Length": _LENGTH, "Upload-Expires": _EXPIRES,
                "Upload-Defer-Length": _DEFERRED, "Upload-Metadata": _METADATA,
            },
        },
        role="editor",
    ),
    Endpoint(
        "PATCH", "/uploads/{upload_id}", "appendToUpload", "Uploads",
        "Add bytes to an upload; with the last ones it becomes a track, which the headers name",
        relay_tus, parameter_model=UploadPath,
        responses={204: ("The bytes are stored", None)},
        problems=RESUMABLE_PROBLEMS | {
            408: "`upload_timeout`: ask for the offset with HEAD and go on",
            409: "`offset_conflict`: the upload has another offset, or another request was faster",
            413: "`too_large`: more bytes than the upload has, or over 50 MB",
            460: "`checksum_mismatch`: nothing of the body was kept",
        },
        body_media_type="application/offset+octet-stream",
        request_headers={
            **_REQUEST,
            "Upload-Offset": HeaderText("Where the bytes belong: what HEAD tells.", _NUMBER, required=True),
            "Upload-Checksum": HeaderText("`sha256` or `sha1`, and the hash of the body in Base64.", "^(sha256|sha1) "),
            "Upload-Length": HeaderText("The size of the file, where the upload was begun without it.", _NUMBER),
        },
        response_headers={204: {**_ANSWER, **_TRACK, "Upload-Offset": _OFFSET, "Upload-Expires": _EXPIRES}},
        rate_limit="parts", role="editor", repeats="same",
    ),
    Endpoint(
        "DELETE", "/uploads/{upload_id}", "terminateUpload", "Uploads",
        "Forget an upload and its bytes; a track that it became stays",
        relay_tus, parameter_model=UploadPath,
        responses={204: ("It is gone", None)},
        problems=_without(415) | INVALID,
        request_headers=_REQUEST, response_headers={204: _ANSWER}, role="editor",
    ),
)  # fmt: skip
