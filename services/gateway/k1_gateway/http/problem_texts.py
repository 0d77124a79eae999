"""The problems that several endpoints can return: status -> codes and when they occur, for the OpenAPI document."""

from typing import Final

INVALID: Final = {422: "`invalid_parameter`: every fault is named"}
PAGED: Final = {422: "`invalid_parameter`: every fault is named; `invalid_cursor`: of another list or sort"}
MAINTENANCE: Final = {503: "`maintenance`: a change while a backup is made; try again"}
"""The problem of every change while a backup keeps changes out."""
UNAVAILABLE: Final = {
    503: f"`service_unavailable`: try again; {MAINTENANCE[503]}",
    504: "`service_timeout`: try again",
}
BODY_PROBLEMS: Final = {
    400: "`malformed_json`",
    408: "`request_timeout`: the body did not arrive in time",
    413: "`body_too_large`",
    415: "`unsupported_media_type`",
}
EVERYWHERE: Final = {
    400: "`bad_request`: the request cannot be read; `client_gone`: the connection ended first",
    414: "`uri_too_long`: the address is longer than 8190 bytes",
    421: "`host_not_allowed`: the gateway is not known under this host",
    431: "`headers_too_large`",
    500: "`internal_error`: it was logged under the trace id",
}
"""Problems that every endpoint can return. Each endpoint adds its own."""
UNSAFE: Final = {403: "`origin_not_allowed`: a page of another origin"}
_NOT_SIGNED_IN: Final = {401: "`unauthenticated`: sign in, or send a valid credential"}
_NO_ROLE: Final = "`role_required`: a higher role is needed"
RESTRICTED: Final = {**_NOT_SIGNED_IN, 403: _NO_ROLE}
"""Problems of every endpoint that needs sign-in."""
UNSAFE_RESTRICTED: Final = {
    **_NOT_SIGNED_IN,
    403: f"{_NO_ROLE}; `csrf_header_required`: a browser must send X-K1-CSRF; {UNSAFE[403]}",
}
REPEATED: Final = {
    409: "`request_in_progress`: the first request with this Idempotency-Key still runs",
    422: "`idempotency_key_reused`: for another request",
}
"""Problems of every endpoint whose answers are kept under an Idempotency-Key."""
LIMITED: Final = {429: "`rate_limited`: try again after `Retry-After` seconds"}
TOO_MANY_JOBS: Final = {429: f"{LIMITED[429]}; `too_many_jobs`: wait for some to end, or cancel them"}
SHARED: Final = {**INVALID, **UNAVAILABLE, **BODY_PROBLEMS, **EVERYWHERE, **UNSAFE_RESTRICTED, **LIMITED}
SHARED_RESPONSES: Final = {
    400: "BadRequest",
    401: "Unauthenticated",
    403: "Forbidden",
    408: "RequestTimeout",
    413: "BodyTooLarge",
    415: "UnsupportedMediaType",
    414: "UriTooLong",
    421: "HostNotAllowed",
    422: "InvalidParameter",
    429: "RateLimited",
    431: "HeadersTooLarge",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "ServiceTimeout",
}
"""The names of the problems of SHARED in the OpenAPI document."""

NO_TRACK: Final = {404: "`track_not_found`", **INVALID, **UNAVAILABLE}
NO_VERSION: Final = {404: "`track_not_found` or `version_not_found`", **INVALID, **UNAVAILABLE}
NO_MAP: Final = {
    404: "`track_not_found`, `version_not_found` or `genesis_missing`",
    409: "`genesis_pending`: the analysis still runs",
    **UNAVAILABLE,
}
NO_JOB: Final = {404: "`job_not_found`", **INVALID, **UNAVAILABLE}
NO_DEVICE: Final = {404: "`device_not_found`", **INVALID, **UNAVAILABLE}
NO_DEPLOYMENT: Final = {404: "`deployment_not_found`", **INVALID, **UNAVAILABLE}
RESUMABLE_PROBLEMS: Final = {
    400: "`invalid_upload_header`; `upload_interrupted`",
    404: "`upload_not_found`: it has expired, or there never was one",
    412: "`tus_version`: send `Tus-Resumable: 1.0.0`",
    422: "the whole file was rejected: `invalid_form`, `empty_file`, `too_short`, `too_long`, `decode_failed`; "
    "`invalid_parameter`: this is no id of an upload",
    415: "`unsupported_format`: the whole file is no song; `unsupported_media_type`: of the body",
    502: "`bad_gateway`",
    503: "`busy`, `dependency_unavailable`, `service_unavailable`: ask for the offset and go on",
}
UPLOAD_PROBLEMS: Final = {
    400: "`malformed_upload`, `upload_interrupted`",
    408: "`upload_timeout`",
    413: "`too_large`: over 50 MB",
    415: "`unsupported_format`: says what the file is; `unsupported_media_type`: the encoding of the body",
    422: "`invalid_form`, `empty_file`, `too_short`, `too_long`, `decode_failed`, "
    "`invalid_parameter`, `idempotency_key_reused`",
    502: "`bad_gateway`",
    503: "`busy`, `dependency_unavailable`, `service_unavailable`: nothing was accepted, send it again",
}
