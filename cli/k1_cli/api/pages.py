"""Reads lists of the API page by page."""

from collections.abc import Iterator
from typing import Final

from k1_cli.api.client import GatewayClient
from k1_cli.json_types import JsonObject

_PAGE: Final = 200


def all_items(gateway: GatewayClient, path: str) -> Iterator[JsonObject]:
    """Yield the items of every page of a list."""
    page = gateway.request("GET", path, params={"limit": _PAGE})
    yield from page["items"]
    while cursor := page.get("next_cursor"):
        page = gateway.request("GET", path, params={"limit": _PAGE, "cursor": cursor})
        yield from page["items"]
