"""Exports over HTTP: the right file, its name, its tag, and clear problems."""

import httpx
import pytest

from k1_contracts.messages.catalogue.tracks import GENESIS_GET, TRACK_GET, GetGenesis
from k1_gateway.exports.formats import FORMATS
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.nats.queries.rpc_documents import compress_document
from services.gateway.tests import samples
from services.gateway.tests.conftest import Owners

URL = f"/api/v1/tracks/{samples.TRACK}/versions/1/export"


@pytest.mark.parametrize("name", FORMATS)
async def test_every_format_is_served(http: httpx.AsyncClient, owners: Owners, name: str) -> None:
    """The file has its media type, the title as its name, and a tag that a client can send back."""
    layers = ["rhythm", "annotations"]
    owners.respond_with(GENESIS_GET.subject, await compress_document("tag", samples.genesis(*layers)))
    owners.respond_with(TRACK_GET.subject, samples.track())
    response = await http.get(f"{URL}/{name}")
    assert (response.status_code, len(response.content) > 0) == (200, True)
    assert FORMATS[name].suffix in response.headers["Content-Disposition"]  # type: ignore[index]
    asked = owners.received[0]
    assert isinstance(asked, GetGenesis)
    assert asked.layers == (None if name == "json" else layers)
    again = await http.get(f"{URL}/{name}", headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_problems_of_the_catalogue_and_unknown_formats(http: httpx.AsyncClient, owners: Owners) -> None:
    """A map that is not there yet is the catalogue's problem; a format that does not exist names those that do."""
    owners.respond_with(GENESIS_GET.subject, QueryError("genesis_pending", "wait", 409))
    assert (await http.get(f"{URL}/midi")).status_code == 409
    unknown = await http.get(f"{URL}/mp3")
    assert unknown.status_code == 422
    assert "audacity" in unknown.text
