"""Checks the headers of every request before a handler gets it."""

import json
import re
from typing import Final

from aiohttp import web

_SINGLE_VALUE_HEADERS: Final = ("Origin", "Sec-Fetch-Site", "Idempotency-Key", "Last-Event-ID")
"""Headers that may have one value only: of two values, a proxy and this service might each read a different one."""
_HOST: Final = re.compile(r"([A-Za-z0-9_.\-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]{0,5})?")
_LARGEST_PORT: Final = 65535


def find_fault(request: web.BaseRequest) -> str | None:
    """Return what is wrong with the headers of a request, or None."""
    for name, value in request.headers.items():
        try:
            f"{name}{value}".encode()
        except UnicodeEncodeError:
            return f"The header {json.dumps(name)} is not UTF-8"
    for name in _SINGLE_VALUE_HEADERS:
        if len(request.headers.getall(name, ())) > 1:
            return f"The header {name} may stand only once"
    host = _HOST.fullmatch(request.headers.get("Host", ""))
    if host is None or (host[2] and int(host[2][1:] or 0) > _LARGEST_PORT):
        return "The header Host is no name or address with a port"
    return None
