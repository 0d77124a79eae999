"""The gateway serves the built web page: at which addresses, in which encoding, and with which headers."""

import gzip
import re
from typing import Final

import httpx
import pytest

from k1_gateway.http.endpoint import BASE_PATH
from k1_gateway.page.bundle import BundleFile, parse_accept_encoding, read_bundle, read_preloads
from k1_gateway.page.routes import make_policy
from k1_platform.settings import ObjectStoreSettings

BUNDLE: Final = read_bundle()
SCRIPT: Final = next(path for path in sorted(BUNDLE) if re.fullmatch(r"assets/index-[\w-]+\.js", path))
PERSON: Final = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.mark.parametrize(
    "path", ["/", "/sign-in?token=x", "/tracks", "/tracks/trk_1/beats", "/devices", "/profile/keys"]
)
async def test_a_person_gets_the_page(http: httpx.AsyncClient, path: str) -> None:
    """Every address inside the page is the page, which reads its own address."""
    response = await http.get(path, headers=PERSON)
    assert (response.status_code, response.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert response.content == BUNDLE["index.html"].content
    assert response.headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"{BASE_PATH}/nothing", 404),
        ("GET", "/api", 404),
        ("GET", "/docs/nothing", 404),
        ("GET", "/assets/index-00000000.js", 404),
        ("GET", "/wp-login.php", 404),
        ("POST", "/tracks", 404),
        ("POST", "/livez", 405),
        ("PUT", f"{BASE_PATH}/tracks", 405),
        ("GET", f"{BASE_PATH}/auth/login", 405),
    ],
)
async def test_other_addresses_stay_as_they_are(
    http: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    """The page takes no address of the API or of a document, and no method but GET, whatever the client accepts."""
    response = await http.request(method, path, headers=PERSON)
    assert response.status_code == status
    assert response.headers["Content-Type"].startswith("application/problem+json")


async def test_a_program_gets_404_for_an_unknown_address(http: httpx.AsyncClient) -> None:
    """It does not ask for HTML, so it is told that there is nothing."""
    response = await http.get("/nothing")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_hashed_files_are_kept_for_ever_and_others_are_asked_for(http: httpx.AsyncClient) -> None:
    """A changed file has another name; `icon.svg` and the page keep theirs."""
    assert (await http.get(f"/{SCRIPT}")).headers["Cache-Control"] == "public, max-age=31536000, immutable"
    for path in ("/icon.svg", "/"):
        assert (await http.get(path)).headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip, deflate, br", "br"),
        ("gzip", "gzip"),
        ("br;q=0.1, gzip;q=0.9", "gzip"),
        ("br;q=0, *", "gzip"),
        ("identity", None),
        ("", None),
        ("br;q=x", None),
    ],
)
async def test_a_browser_gets_the_encoding_that_it_takes(
    http: httpx.AsyncClient, accepted: str, encoding: str | None
) -> None:
    """The siblings `.br` and `.gz` are sent as they are; the type is that of the file."""
    async with http.stream("GET", f"/{SCRIPT}", headers={"Accept-Encoding": accepted}) as response:
        sent = b"".join([chunk async for chunk in response.aiter_raw()])
    assert response.headers.get("Content-Encoding") == encoding
    assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert response.headers["Vary"].startswith("Accept-Encoding")
    file = BUNDLE[SCRIPT]
    assert sent == (file.encoded[encoding] if encoding else file.content)
    assert int(response.headers["Content-Length"]) == len(sent)


async def test_a_browser_that_holds_the_content_gets_304(http: httpx.AsyncClient) -> None:
    """Whichever encoding it got; another tag gets the content."""
    for accepted in ("br", "gzip", "identity"):
        headers = {"Accept-Encoding": accepted}
        tag = (await http.get("/", headers=headers)).headers["ETag"]
        again = await http.get("/", headers=headers | {"If-None-Match": tag})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    assert (await http.get("/", headers={"If-None-Match": '"other"'})).status_code == 200


@pytest.mark.parametrize(
    ("address", "call", "parts"),
    [
        ("/", "/api/v1/tracks?sort=newest&limit=100&offset=0", {"first"}),
        ("/tracks", "/api/v1/tracks?sort=newest&limit=100&offset=0", {"first"}),
        ("/tracks?q=rain", None, {"first"}),
        ("/tracks/trk_1/beats", None, {"first", "track"}),
        ("/devices", None, {"first"}),
    ],
)
async def test_who_may_be_signed_in_gets_what_the_page_needs_announced(
    http: httpx.AsyncClient, address: str, call: str | None, parts: set[str]
) -> None:
    """The first calls and the code; without a cookie calls would fail, and browsers write that into the console."""
    assert "Link" not in (await http.get(address, headers=PERSON)).headers
    response = await http.get(address, headers=PERSON | {"Cookie": "k1-access=x"})
    links = [link.split(">;") for link in response.headers["Link"].split(", ")]
    kinds = {target.removeprefix("<"): kind.strip() for target, kind in links}
    calls = {target for target, kind in kinds.items() if kind == "rel=preload; as=fetch; crossorigin"}
    assert calls == {"/api/v1/me"} | ({call} if call else set())
    preloads = read_preloads(BUNDLE)
    files = {file.removeprefix("/") for file in kinds if file not in calls}
    assert files == {file for part in parts for file in preloads[part]}
    assert files <= BUNDLE.keys()
    assert {kinds[f"/{file}"] for file in files if file.endswith(".js")} == {"rel=modulepreload; crossorigin"}
    assert {kinds[f"/{file}"] for file in files if file.endswith(".css")} == {
        "rel=preload; as=style; crossorigin"
    }


async def test_pages_for_everyone_announce_nothing(http: httpx.AsyncClient) -> None:
    """They make no call that needs a session, and show none of the other pages."""
    for path in ("/sign-in?token=x", "/reset", "/register"):
        response = await http.get(path, headers=PERSON | {"Cookie": "k1-access=x"})
        assert (response.status_code, "Link" in response.headers) == (200, False)


async def test_the_page_loads_only_its_own_files(http: httpx.AsyncClient) -> None:
    """Scripts come from files of the gateway alone; what a page may load besides is the API and the object store."""
    response = await http.get("/")
    policy = dict(
        part.strip().split(" ", 1) for part in response.headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe-eval" not in response.headers["Content-Security-Policy"]
    assert not re.search(r"<script(?![^>]*\bsrc=)|\bon\w+=", response.text)


def test_the_policy_names_the_address_at_which_browsers_reach_the_store() -> None:
    """Not the one that services use, and without its path."""
    policy = make_policy(
        ObjectStoreSettings(url="http://minio:9000", public_url="https://files.example:444/x")
    )
    assert policy.count("https://files.example:444;") == 3
    assert "minio" not in policy


def test_the_siblings_hold_the_content() -> None:
    """Each text of the bundle has both; a stale sibling would be served instead of the file."""
    assert {file.media_type for file in BUNDLE.values() if file.encoded} >= {"text/javascript", "text/css"}
    for path, file in BUNDLE.items():
        if file.encoded:
            assert set(file.encoded) == {"br", "gzip"}, path
            assert gzip.decompress(file.encoded["gzip"]) == file.content, path


def test_an_unreadable_accept_encoding_is_refused() -> None:
    """Nothing that a client sends leads to an encoding that it did not name."""
    assert parse_accept_encoding(";;,=,q") == {"q": 1.0, "=": 1.0}
    assert BundleFile("text/css", b"x", "t", {"br": b"y"}).choose(";q=1,,") == (None, b"x")
