"""Entity tags: a client that holds the current answer is told so instead of being sent it again."""

import re
import time
from hashlib import sha256
from typing import Final

from aiohttp import web

_URL: Final = re.compile(rb'"url":"[^"]*"')
_URL_WINDOW_S: Final = 1800
"""Signed URLs work for an hour; a client never keeps one for more than half of it."""
_HEADERS: Final = {"Cache-Control": "private, no-cache"}


def content_tag(body: bytes, now: float) -> str:
    """The tag of a JSON answer; fresh signatures of the same URLs do not change it for half an hour."""
    without, count = _URL.subn(b"", body)
    window = str(int(now) // _URL_WINDOW_S).encode() if count else b""
    return sha256(without + window).hexdigest()[:32]


def held_tags(request: web.Request) -> list[str]:
    """The tags of If-None-Match, without quotes and weakness marks."""
    header = request.headers.get("If-None-Match", "")
    return [tag.strip().removeprefix("W/").strip('"') for tag in header.split(",") if tag.strip()]


def wanted_tags(request: web.Request) -> list[str] | None:
    """The tags of If-Match, without quotes; weak ones never match, so they are left out. None without the header."""
    if "If-Match" not in request.headers:
        return None
    tags = (tag.strip() for tag in request.headers["If-Match"].split(","))
    return [tag.strip('"') for tag in tags if tag and not tag.startswith("W/")]


def cacheable(request: web.Request, body: bytes) -> web.Response:
    """200 with a tag, or 304 when the client holds this content."""
    tag = content_tag(body, time.time())
    held = held_tags(request)
    if tag in held or "*" in held:
        return not_modified(tag)
    return web.Response(body=body, content_type="application/json", headers=tagged(tag))


def not_modified(tag: str) -> web.Response:
    """304."""
    return web.Response(status=304, headers=tagged(tag))


def strongly_tagged(tag: str) -> dict[str, str]:
    """For what can be edited: If-Match compares strongly."""
    return {"ETag": f'"{tag}"', **_HEADERS}


def tagged(tag: str) -> dict[str, str]:
    """Weak: the same content may come compressed or not, with one signature or another."""
    return {"ETag": f'W/"{tag}"', **_HEADERS}
