"""Tests of the lists of tracks, with a real PostgreSQL server."""

from typing import Any

import pytest

from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_catalogue.tracks.list_store import list_tracks
from k1_contracts.messages.catalogue.tracks import ListTracks, TrackPage, TrackSort
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.postgres.pool import Pool
from services.catalogue.tests.song_samples import upload

SONGS: list[tuple[str, str | None, list[str]]] = [
    ("Midnight City", "M83", ["synth pop", "night"]),
    ("Nightcall", "Kavinsky", ["synth", "drive"]),
    ("Déjà Vu", "Beyoncé", ["r&b"]),
    ("Strobe", "deadmau5", ["progressive", "edm"]),
    ("Around the World", "Daft Punk", ["house"]),
    ("Harder Better", "Daft Punk", ["house"]),
    ("X", None, []),
]

SEARCHES: dict[str, set[str]] = {
    "nightcall": {"Nightcall"},
    "NIGHT": {"Midnight City", "Nightcall"},
    "idnig": {"Midnight City"},
    "deja": {"Déjà Vu"},
    "beyonce vu": {"Déjà Vu"},
    "daft": {"Around the World", "Harder Better"},
    "punk world": {"Around the World"},
    "world daft": {"Around the World"},
    "house": {"Around the World", "Harder Better"},
    "m": {"Midnight City"},
    "da pu": {"Around the World", "Harder Better"},
    "x": {"X"},
    "midnigth": {"Midnight City"},
    "nigtcall": {"Nightcall"},
    "kavinski": {"Nightcall"},
    "beyonse": {"Déjà Vu"},
    "deadmaus": {"Strobe"},
    "x city": set(),
    "m38": {"Midnight City"},
    "nigthcall kavinsky": {"Nightcall"},
    "midnightt": {"Midnight City"},
    "kvinsky": {"Nightcall"},
    "daft pank": {"Around the World", "Harder Better"},
    "hoxse": {"Around the World", "Harder Better"},
    "zzzz": set(),
    "xylophone": set(),
    "!!": set(),
    "'; DROP TABLE catalogue.tracks; --": set(),
    "a:*&|!()<->'\\\0": {"Around the World"},
}


@pytest.fixture
async def tracks(pool: Pool, job_events: JobEventHandlers) -> Pool:
    """Seven tracks, a second apart."""
    for number, (title, artist, tags) in enumerate(SONGS):
        preset = "edm" if number % 2 else None
        await upload(job_events, number, title=title, artist=artist, tags=tags, preset=preset)
    return pool


async def set_figures(pool: Pool, values: list[float | None], column: str = "f_measure") -> None:
    for (title, _, _), value in zip(SONGS, values, strict=True):
        await pool.execute(f"UPDATE catalogue.tracks SET {column} = $2 WHERE title = $1", title, value)


def titles(page: TrackPage) -> list[str]:
    return [item.title for item in page.items]


async def list_titles(pool: Pool, **query: Any) -> list[str]:
    return titles(await list_tracks(pool, ListTracks(**query)))


async def test_newest_first_with_the_total(tracks: Pool) -> None:
    """A page has the total number of tracks, whatever its size."""
    page = await list_tracks(tracks, ListTracks(limit=2, offset=1))
    assert (page.total, page.offset, titles(page)) == (7, 1, ["Harder Better", "Around the World"])


@pytest.mark.parametrize("sort", ["newest", "oldest", "f_measure", "duration", "bpm", "title"])
@pytest.mark.parametrize("limit", [1, 3, 7])
async def test_cursors_lead_to_every_track_once(tracks: Pool, sort: TrackSort, limit: int) -> None:
    """Cursors lead through the list in its order, also with equal and unknown figures among the keys."""
    await set_figures(tracks, [0.9, 0.9, None, 0.5, 0.9, None, 1.0])
    await set_figures(tracks, [3e5, 1e5, None, 1e5, None, 2e5, 1e5], "duration_ms")
    whole = await list_titles(tracks, sort=sort)
    titles_by_cursor: list[str] = []
    cursor = None
    while True:
        page = await list_tracks(tracks, ListTracks(sort=sort, limit=limit, cursor=cursor))
        titles_by_cursor += titles(page)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert len(whole) == len(SONGS)
    assert whole == titles_by_cursor


async def test_cursors_are_stable_when_tracks_are_added(tracks: Pool, job_events: JobEventHandlers) -> None:
    """Unlike an offset, a cursor does not show a track twice when one is added before it."""
    first = await list_tracks(tracks, ListTracks(limit=3))
    await upload(job_events, 3600)
    second = await list_tracks(tracks, ListTracks(limit=3, cursor=first.next_cursor))
    assert not set(titles(first)) & set(titles(second))


async def test_figures_sort_highest_first_and_unknown_last(tracks: Pool) -> None:
    """A track that is not analysed yet has no figure and comes last."""
    await set_figures(tracks, [0.7, 0.9, None, 0.8, None, None, None])
    assert (await list_titles(tracks, sort="f_measure"))[:3] == ["Nightcall", "Strobe", "Midnight City"]


async def test_filters(tracks: Pool) -> None:
    """Lists are filtered by status, by preset and by both; the totals agree."""
    await tracks.execute("UPDATE catalogue.tracks SET status = 'ready' WHERE title IN ('Nightcall', 'X')")
    assert await list_titles(tracks, status="ready") == ["X", "Nightcall"]
    assert await list_titles(tracks, status="ready", preset="edm") == ["Nightcall"]
    totals = {
        (status, preset): (await list_tracks(tracks, ListTracks(status=status, preset=preset))).total
        for status in (None, "ready", "processing", "failed")
        for preset in (None, "edm", "jazz")
    }
    assert totals == {
        (None, None): 7, (None, "edm"): 3, (None, "jazz"): 0,
        ("ready", None): 2, ("ready", "edm"): 1, ("ready", "jazz"): 0,
        ("processing", None): 5, ("processing", "edm"): 2, ("processing", "jazz"): 0,
        ("failed", None): 0, ("failed", "edm"): 0, ("failed", "jazz"): 0,
    }  # fmt: skip


async def test_totals_follow_deletions(tracks: Pool) -> None:
    """The counters are right after inserts, changes and deletions."""
    await tracks.execute("UPDATE catalogue.tracks SET preset = 'jazz' WHERE title = 'X'")
    await tracks.execute("DELETE FROM catalogue.tracks WHERE title IN ('X', 'Strobe')")
    counted = await tracks.fetchrow(
        "SELECT (SELECT count(*) FROM catalogue.tracks), (SELECT sum(n) FROM catalogue.totals WHERE kind = 'tracks'),"
        " (SELECT count(*) FROM catalogue.jobs), (SELECT sum(n) FROM catalogue.totals WHERE kind = 'jobs')"
    )
    assert tuple(counted or ()) == (5, 5, 5, 5)


async def test_search(tracks: Pool) -> None:
    """A search finds parts of words in any order and field, with any case and accents, and with one wrong letter."""
    pages = {search: await list_tracks(tracks, ListTracks(search=search)) for search in SEARCHES}
    assert {search: set(titles(page)) for search, page in pages.items()} == SEARCHES
    assert {search: len(titles) for search, titles in SEARCHES.items()} == {
        search: page.total for search, page in pages.items()
    }


async def test_the_best_match_comes_first(tracks: Pool, job_events: JobEventHandlers) -> None:
    """A whole word ranks before the beginning of a word, and that before a tag; another sort is used if requested."""
    await upload(job_events, title="Call it a night", artist=None)
    await tracks.execute("DELETE FROM catalogue.tracks WHERE title = 'Midnight City'")
    await upload(job_events, title="Sleep", artist=None, tags=["tonights"])
    assert await list_titles(tracks, search="night") == ["Call it a night", "Nightcall", "Sleep"]
    assert (await list_titles(tracks, search="night", sort="newest")) == await list_titles(
        tracks, search="night"
    )
    assert (await list_titles(tracks, search="night", sort="oldest"))[-1] == "Nightcall"


async def test_search_with_filter_and_pages(tracks: Pool) -> None:
    """A search has filters, totals and cursors like a list."""
    assert await list_titles(tracks, search="daft", preset="edm") == ["Harder Better"]
    first = await list_tracks(tracks, ListTracks(search="daft", limit=1))
    second = await list_tracks(tracks, ListTracks(search="daft", limit=1, cursor=first.next_cursor))
    assert {*titles(first), *titles(second)} == {"Around the World", "Harder Better"}
    assert (first.total, second.total, second.next_cursor) == (2, 2, None)
    beyond = await list_tracks(tracks, ListTracks(search="daft", offset=5))
    assert (beyond.total, beyond.items) == (2, [])


async def test_a_cursor_of_another_list_is_rejected(tracks: Pool) -> None:
    """A cursor of another sort or list is an error."""
    cursor = (await list_tracks(tracks, ListTracks(limit=1))).next_cursor
    for query in (ListTracks(sort="duration", cursor=cursor), ListTracks(search="night", cursor=cursor)):
        with pytest.raises(QueryError) as caught:
            await list_tracks(tracks, query)
        assert caught.value.status == 422
