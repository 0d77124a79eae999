"""Entity tags and cache headers: a client that holds the current content gets 304 instead of the content."""

import re
import time
from hashlib import sha256
from typing import Final

from aiohttp import web

_URL: Final = re.compile(rb'"url":"[^"]*"')
_URL_WINDOW_S: Final = 1800
"""Signed URLs are valid for an hour. A client keeps none for longer than half of that."""
_HEADERS: Final = {"Cache-Control": "private, no-cache"}


def content_tag(body: bytes, now: float) -> str:
    """Return the tag of a JSON body. New signatures of the same URLs do not change it for half an hour."""
    without, count = _URL.subn(b"", body)
    window = str(int(now) // _URL_WINDOW_S).encode() if count else b""
    return sha256(without + window).hexdigest()[:32]


def if_none_match_tags(request: web.Request) -> list[str]:
    """Return the tags of If-None-Match, without quotes and weakness marks."""
    header = request.headers.get("If-None-Match", "")
    return [tag.strip().removeprefix("W/").strip('"') for tag in header.split(",") if tag.strip()]


def if_match_tags(request: web.Request) -> list[str] | None:
    """Return the tags of If-Match, without quotes; None without the header. Weak tags never match and are left out."""
    if "If-Match" not in request.headers:
        return None
    tags = (tag.strip() for tag in request.headers["If-Match"].split(","))
    return [tag.strip('"') for tag in tags if tag and not tag.startswith("W/")]


def cacheable_response(request: web.Request, body: bytes) -> web.Response:
    """Return 200 with a tag, or 304 when the client holds this content."""
    tag = content_tag(body, time.time())
    held = if_none_match_tags(request)
    if tag in held or "*" in held:
        return not_modified_response(tag)
    return web.Response(body=body, content_type="application/json", headers=weak_tag_headers(tag))


def not_modified_response(tag: str) -> web.Response:
    """Return 304."""
    return web.Response(status=304, headers=weak_tag_headers(tag))


def strong_tag_headers(tag: str) -> dict[str, str]:
    """Return the headers of content that can be edited: If-Match compares strongly."""
    return {"ETag": f'"{tag}"', **_HEADERS}


def weak_tag_headers(tag: str) -> dict[str, str]:
    """Return the headers of other content, whose compression and URL signatures may differ under the same tag."""
    return {"ETag": f'W/"{tag}"', **_HEADERS}
