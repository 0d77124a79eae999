"""Tests of lists over many tracks: filters, totals, pages while rows change, and the indexes that are read."""

import asyncio
import json
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from k1_catalogue.tracks import list_store
from k1_catalogue.tracks.list_store import list_tracks
from k1_contracts.messages.catalogue.tracks import ListTracks, TrackSort, TrackSummary
from k1_platform.postgres.pool import Pool
from tests.support.waiting import eventually

COUNT = 3000
SORTS: tuple[TrackSort, ...] = get_args(TrackSort)
FILTERS: list[dict[str, Any]] = [
    {},
    {"status": "ready"},
    {"status": "deleted"},
    {"preset": "jazz"},
    {"min_f_measure": 0.7},
    {"max_f_measure": 0.2},
    {"min_f_measure": 0.4, "max_f_measure": 0.6, "status": "warning"},
    {"min_bpm": 120},
    {"min_bpm": 80, "max_bpm": 99.5, "preset": "edm"},
    {"tag": ["t1"]},
    {"tag": ["t1", "rare"], "status": "ready"},
    {"tag": ["nobody"]},
]


@pytest.fixture
async def many(pool: Pool) -> Pool:
    """Tracks with equal times, titles and figures among them; a fifth of them is deleted."""
    await insert_tracks(pool, COUNT)
    return pool


async def insert_tracks(pool: Pool, count: int) -> None:
    """Add tracks without events, and measure the table for the planner."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("ALTER TABLE catalogue.tracks DISABLE TRIGGER record_tracks")
        await connection.execute(
            """
            INSERT INTO catalogue.tracks (id, title, tags, preset, filename, audio, status, current_version,
                duration_ms, bpm, f_measure, search, title_key, created_at, updated_at, deleted_at)
            SELECT 'trk_' || lpad(n::text, 26, '0'), 'T' || n % 700,
                   array_remove(ARRAY['t' || n % 4, CASE WHEN n % 100 = 1 THEN 'rare' END], NULL),
                   CASE n % 3 WHEN 0 THEN 'jazz' WHEN 1 THEN 'edm' END, 'f', '{}',
                   (ARRAY['ready', 'warning', 'ready', 'failed', 'deleted'])[1 + n % 5],
                   1, CASE WHEN n % 7 > 0 THEN n % 50 * 1000 END, CASE WHEN n % 7 > 0 THEN 60 + n % 90 END,
                   CASE WHEN n % 7 > 0 THEN (n % 101) / 100.0 END, '', 't' || n % 700,
                   '2026-01-01Z'::timestamptz + n / 3 * interval '1 s', now(), CASE WHEN n % 5 = 4 THEN now() END
            FROM generate_series(1, $1) AS n
            """,
            count,
        )
        await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        await connection.execute("ALTER TABLE catalogue.tracks ENABLE TRIGGER record_tracks")

    async def is_all_visible() -> bool:
        """Vacuum; rows stay unmarked while a transaction is open, as that of an automatic ANALYZE is."""
        await pool.execute("VACUUM ANALYZE catalogue.tracks")
        return await pool.fetchval(
            "SELECT relallvisible = relpages FROM pg_class WHERE oid = 'catalogue.tracks'::regclass"
        )

    await eventually(is_all_visible, "every page of the table is known to be visible to all")


def matches(item: TrackSummary, wanted: dict[str, Any]) -> bool:
    figure = item.f_measure
    return (
        (item.status == wanted["status"] if "status" in wanted else item.status != "deleted")
        and item.preset == wanted.get("preset", item.preset)
        and ("min_f_measure" not in wanted or (figure is not None and figure >= wanted["min_f_measure"]))
        and ("max_f_measure" not in wanted or (figure is not None and figure <= wanted["max_f_measure"]))
        and ("min_bpm" not in wanted or (item.bpm is not None and item.bpm >= wanted["min_bpm"]))
        and ("max_bpm" not in wanted or (item.bpm is not None and item.bpm <= wanted["max_bpm"]))
        and set(wanted.get("tag", [])) <= set(item.tags)
    )


async def walk(pool: Pool, limit: int = 200, **query: Any) -> tuple[list[TrackSummary], int]:
    """Return every item of a list by its cursors, and the total."""
    items: list[TrackSummary] = []
    cursor = None
    while True:
        page = await list_tracks(pool, ListTracks(limit=limit, cursor=cursor, **query))
        items += page.items
        cursor = page.next_cursor
        if cursor is None:
            return items, page.total


async def test_filters_and_totals_are_right(many: Pool) -> None:
    """Each filter gives what a scan of all tracks gives, each row once, and its total."""
    every = [*(await walk(many))[0], *(await walk(many, status="deleted"))[0]]
    assert len(every) == COUNT
    for number, wanted in enumerate(FILTERS):
        items, total = await walk(many, sort=SORTS[number % len(SORTS)], **wanted)
        expected = {item.id for item in every if matches(item, wanted)}
        assert len(items) == len(expected) == total, wanted
        assert {item.id for item in items} == expected, wanted


async def test_pages_show_each_row_once_while_rows_change(many: Pool) -> None:
    """Whatever is added, removed or changed between two pages, a track that stays as it is is shown exactly once."""
    loop = asyncio.get_running_loop()
    before = {sort: [item.id for item in (await walk(many, sort=sort, tag=["rare"]))[0]] for sort in SORTS}
    pool = many

    async def change(number: int) -> set[str]:
        """Delete, restore or retitle a track, and return its id."""
        track_id = before["newest"][number % len(before["newest"])]
        statements = (
            "UPDATE catalogue.tracks SET status = 'deleted' WHERE id = $1",
            "UPDATE catalogue.tracks SET status = 'ready' WHERE id = $1",
            "UPDATE catalogue.tracks SET title_key = 'z', bpm = 300, duration_ms = 1, f_measure = 1 WHERE id = $1",
        )
        await pool.execute(statements[number % 3], track_id)
        return {track_id}

    async def run(sort: TrackSort, limit: int, changes: list[int]) -> None:
        shown: list[str] = []
        changed: set[str] = set()
        cursor = None
        pending = list(changes)
        before_now = {item.id for item in (await walk(pool, sort=sort, tag=["rare"]))[0]}
        while True:
            page = await list_tracks(pool, ListTracks(sort=sort, limit=limit, cursor=cursor, tag=["rare"]))
            shown += [item.id for item in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
            if pending:
                changed |= await change(pending.pop())
        kept = [track_id for track_id in shown if track_id not in changed]
        assert len(kept) == len(set(kept))
        assert set(kept) == before_now - changed

    @settings(max_examples=12, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.sampled_from(SORTS), st.integers(1, 9), st.lists(st.integers(0, 200), max_size=6))
    def examples(sort: TrackSort, limit: int, changes: list[int]) -> None:
        asyncio.run_coroutine_threadsafe(run(sort, limit, changes), loop).result()

    await asyncio.to_thread(examples)


async def test_lists_read_indexes_in_order(pool: Pool) -> None:
    """No page sorts or scans all tracks; rare tags and narrow ranges are found and counted by their indexes."""
    await insert_tracks(pool, 25_000)
    for sort in SORTS:
        for status in (None, "ready", "deleted"):
            first = await list_tracks(pool, ListTracks(sort=sort, status=status, limit=100))
            for cursor in (None, first.next_cursor):
                query = ListTracks(sort=sort, status=status, cursor=cursor)
                for plan in await explained(pool, query):
                    used = nodes(plan)
                    assert "Seq Scan" not in used, (query, plan)
                    # The outer sort orders the rows of the page; the inner query must not sort all rows.
                    assert sum(name in {"Sort", "Incremental Sort"} for name in used) <= 1, (query, plan)
    for query in (
        ListTracks(tag=["rare", "t1"]),
        ListTracks(min_f_measure=0.99),
        ListTracks(max_f_measure=0.01),
        ListTracks(status="ready", min_f_measure=0.99, sort="f_measure"),
    ):
        for plan in await explained(pool, query):
            assert "Seq Scan" not in nodes(plan), (query, plan)
    for query in (ListTracks(min_f_measure=0.9), ListTracks(status="ready", max_f_measure=0.1)):
        counting = (await explained(pool, query))[1]
        assert "Index Only Scan" in nodes(counting), counting


async def explained(pool: Pool, query: ListTracks) -> list[dict[str, Any]]:
    """Return the plans of the statements that a page reads `tracks` with."""
    plans: list[dict[str, Any]] = []

    class Recorder:
        def __init__(self, connection: Any) -> None:
            self.connection = connection

        async def fetch(self, text: str, *arguments: Any) -> Any:
            await self._explain(text, arguments)
            return await self.connection.fetch(text, *arguments)

        async def fetchval(self, text: str, *arguments: Any) -> Any:
            await self._explain(text, arguments)
            return await self.connection.fetchval(text, *arguments)

        async def _explain(self, text: str, arguments: Any) -> None:
            if "catalogue.tracks" in text:
                found = await self.connection.fetchval(f"EXPLAIN (FORMAT JSON) {text}", *arguments)
                plans.append(json.loads(found)[0]["Plan"])

    async with pool.acquire() as connection:
        await list_store._list_page(Recorder(connection), query)  # type: ignore[arg-type]
    return plans


def nodes(plan: dict[str, Any]) -> list[str]:
    return [plan["Node Type"], *(name for inner in plan.get("Plans", []) for name in nodes(inner))]
