"""Reads lists of the API page by page."""

from collections.abc import Iterator, Mapping
from typing import Final

from k1_cli.api.client import GatewayClient
from k1_cli.json_types import JsonObject

_PAGE: Final = 200


def all_items(
    gateway: GatewayClient, path: str, filters: Mapping[str, str] | None = None
) -> Iterator[JsonObject]:
    """Yield the items of every page of a list."""
    params = {**(filters or {}), "limit": _PAGE}
    page = gateway.request("GET", path, params=params)
    yield from page["items"]
    while cursor := page.get("next_cursor"):
        page = gateway.request("GET", path, params={**params, "cursor": cursor})
        yield from page["items"]
