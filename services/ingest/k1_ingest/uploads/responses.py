"""Turns a rejection into the JSON response that the gateway turns into a problem."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from aiohttp import web

from k1_ingest.errors import RETRY_AFTER_S, UploadRejectedError

UNAVAILABLE: Final = UploadRejectedError(
    "dependency_unavailable",
    503,
    "The song cannot be accepted at the moment; send the same upload again in a few seconds.",
)


def rejection_response(error: UploadRejectedError, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return the response for a rejected upload, with further headers."""
    body: dict[str, object] = {"code": error.code, "message": str(error)}
    if error.faults:
        body["errors"] = [{"name": fault.name, "message": fault.message} for fault in error.faults]
    retry = {"Retry-After": str(RETRY_AFTER_S)} if error.status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    return web.json_response(body, status=error.status, headers={**(headers or {}), **retry})
