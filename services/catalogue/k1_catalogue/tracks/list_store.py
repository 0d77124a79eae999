"""Reads pages of tracks by sort, filter and search, with totals.

The row of a track holds everything that a list shows, so a list reads one table. It reads one index from its cursor or
offset on; its total comes from the counters that triggers maintain, or is counted where it is filtered by more than
status and preset. A search ranks and counts at most MAX_SEARCH_MATCHES matches, the newest.
"""

from dataclasses import dataclass, field
from typing import Final

import asyncpg
from pydantic import TypeAdapter

from k1_catalogue.tracks.cursors import Cursor, read_cursor, write_cursor
from k1_catalogue.tracks.search import WEIGHTS, SearchQuery, parse_search
from k1_catalogue.tracks.totals_store import count_rows
from k1_contracts.messages.catalogue.tracks import ListTracks, TrackPage, TrackSort, TrackSummary
from k1_platform.postgres.pool import Connection, Pool

MAX_SEARCH_MATCHES: Final = 1000
_COLUMNS: Final = (
    "id, title, artist, duration_ms, bpm, f_measure, status, preset, tags, current_version,"
    " created_at, updated_at, title_key"
)
_KEY: Final[dict[TrackSort, str]] = {
    "newest": "created_at",
    "oldest": "created_at",
    "f_measure": "coalesce(f_measure, -1)",
    "duration": "coalesce(duration_ms, -1)",
    "bpm": "coalesce(bpm, -1)",
    "title": "title_key",
}
_FIGURE: Final[dict[TrackSort, str]] = {"f_measure": "f_measure", "duration": "duration_ms", "bpm": "bpm"}
_ASCENDING: Final[frozenset[TrackSort]] = frozenset({"oldest", "title"})
"""The sort key of each sort; ties are sorted by id. The indexes are on these expressions. Unknown figures come last."""
_TIMED: Final[frozenset[TrackSort]] = frozenset({"newest", "oldest"})
_SUMMARIES: Final = TypeAdapter(list[TrackSummary])
_WEIGHTS: Final = "'{" + ", ".join(map(str, WEIGHTS)) + "}'::real[]"


@dataclass(slots=True)
class _Filter:
    """The WHERE clause of a list and its arguments."""

    clauses: list[str] = field(default_factory=lambda: ["true"])
    arguments: list[object] = field(default_factory=list[object])

    def add(self, clause: str, *arguments: object) -> None:
        """Add a clause in which `{0}`, `{1}`, ... stand for the arguments."""
        first = len(self.arguments) + 1
        self.clauses.append(clause.format(*(f"${first + place}" for place in range(len(arguments)))))
        self.arguments.extend(arguments)

    def argument(self, value: object) -> str:
        """Add an argument and return its placeholder."""
        self.arguments.append(value)
        return f"${len(self.arguments)}"

    @property
    def where(self) -> str:
        return " AND ".join(self.clauses)


async def list_tracks(pool: Pool, query: ListTracks) -> TrackPage:
    """Return one page; raise `invalid_cursor` for a cursor of another list or sort."""
    search = parse_search(query.search)
    async with pool.acquire() as connection:
        if search is not None:
            return await _search_page(connection, query, search)
        if query.search and query.search.strip():
            return _page(query, [], 0, query.offset, None)
        return await _list_page(connection, query)


async def _list_page(connection: Connection, query: ListTracks) -> TrackPage:
    rows = await _fetch_rows(connection, query)
    total = await _total(connection, query)
    page, is_more = rows[: query.limit], len(rows) > query.limit
    next_cursor = write_cursor(_cursor_at(query.sort, page[-1])) if is_more else None
    return _page(query, page, total, 0 if query.cursor else query.offset, next_cursor)


async def _total(connection: Connection, query: ListTracks) -> int:
    figures = (query.min_f_measure, query.max_f_measure, query.min_bpm, query.max_bpm)
    if query.tag is None and figures.count(None) == len(figures):
        return await count_rows(connection, "tracks", query.status, query.preset)
    # The column itself, whose index is enough for counting.
    chosen = _filter(query, figure="f_measure")
    text = f"SELECT count(*) FROM catalogue.tracks WHERE {chosen.where}"  # noqa: S608  built of constants of ours
    total: int | None = await connection.fetchval(text, *chosen.arguments)
    return total or 0


async def _fetch_rows(connection: Connection, query: ListTracks) -> list[asyncpg.Record]:
    """Return the rows of a page and, if there are more, the first row of the next page."""
    chosen = _filter(query)
    is_filtered = bool(chosen.arguments)
    key = _KEY[query.sort]
    direction, beyond = ("ASC", ">") if query.sort in _ASCENDING else ("DESC", "<")
    if query.cursor:
        cursor = read_cursor(query.cursor, query.sort)
        after = cursor.time if query.sort in _TIMED else cursor.key
        chosen.add(f"({key}, id) {beyond} ({{0}}, {{1}})", after, cursor.id)
    wanted = query.limit + 1
    # PostgreSQL plans a statement anew each time if it does not know how few rows are wanted. With a filter it should,
    # as the best plan depends on how many tracks have the tag or the figure.
    rows = f"LIMIT {chosen.argument(wanted) if is_filtered else int(wanted)}"
    if query.offset and not query.cursor:
        rows += f" OFFSET {chosen.argument(query.offset)}"
    return await connection.fetch(
        # The inner query skips to the page in the index alone.
        f"""
        SELECT {_COLUMNS} FROM catalogue.tracks JOIN (
            SELECT id FROM catalogue.tracks WHERE {chosen.where}
            ORDER BY {key} {direction}, id {direction} {rows}
        ) AS page USING (id)
        ORDER BY {key} {direction}, id {direction}
        """,  # noqa: S608  built of constants of ours
        *chosen.arguments,
    )


async def _search_page(connection: Connection, query: ListTracks, search: SearchQuery) -> TrackPage:
    cursor = read_cursor(query.cursor, "search") if query.cursor else None
    offset = int(cursor.number) if cursor else query.offset
    total, rows = await _matches(connection, query, search.exact, search.rank, offset)
    if total == 0:
        total, rows = await _matches(connection, query, search.similar, search.rank, offset)
    end = offset + len(rows)
    next_cursor = write_cursor(Cursor(walk="search", key=end)) if rows and end < total else None
    return _page(query, rows, total, offset, next_cursor)


async def _matches(
    connection: Connection, query: ListTracks, tsquery: str, rank: str, offset: int
) -> tuple[int, list[asyncpg.Record]]:
    """Return how many rows match `tsquery`, and a page of them.

    The best match comes first, unless the query asks for another sort than newest.
    """
    chosen = _filter(query)
    chosen.add("search @@ {0}::text::tsquery", tsquery)
    ranking, limit, skipped = map(chosen.argument, (rank, query.limit, offset))
    key, direction = _KEY[query.sort], "ASC" if query.sort in _ASCENDING else "DESC"
    order = f"{key} {direction}, id {direction}"
    if query.sort == "newest":
        order = f"score DESC, {order}"
    rows = await connection.fetch(
        f"""
        WITH matches AS MATERIALIZED (
            SELECT {_COLUMNS}, search FROM catalogue.tracks WHERE {chosen.where}
            ORDER BY created_at DESC, id DESC LIMIT {MAX_SEARCH_MATCHES}
        ), page AS (
            SELECT {_COLUMNS}, ts_rank({_WEIGHTS}, search, {ranking}::text::tsquery) AS score
            FROM matches ORDER BY {order} LIMIT {limit} OFFSET {skipped}
        )
        SELECT counted.total, page.* FROM (SELECT count(*) AS total FROM matches) AS counted
        LEFT JOIN page ON true ORDER BY {order}
        """,  # noqa: S608  built of constants of ours
        *chosen.arguments,
    )
    return rows[0]["total"], [row for row in rows if row["id"] is not None]


def _filter(query: ListTracks, figure: str = _KEY["f_measure"]) -> _Filter:
    """Return the filter of a query; `figure` is the expression of the F-measure, which differs between indexes."""
    chosen = _Filter()
    if query.status is not None:
        chosen.add("status = {0}", query.status)
    else:
        chosen.add("status <> 'deleted'")
    if query.min_f_measure is not None:
        chosen.add(f"{figure} >= {{0}}", query.min_f_measure)
    if query.max_f_measure is not None:
        chosen.add(f"{figure} BETWEEN 0 AND {{0}}", query.max_f_measure)
    if query.min_bpm is not None:
        chosen.add(f"{_KEY['bpm']} >= {{0}}", query.min_bpm)
    if query.max_bpm is not None:
        chosen.add(f"{_KEY['bpm']} BETWEEN 0 AND {{0}}", query.max_bpm)
    if query.tag is not None:
        chosen.add("tags @> {0}::text[]", query.tag)
    if query.preset is not None:
        chosen.add("preset = {0}", query.preset)
    return chosen


def _cursor_at(sort: TrackSort, row: asyncpg.Record) -> Cursor:
    if sort in _TIMED:
        return Cursor.at_time(sort, row["created_at"], row["id"])
    if sort == "title":
        return Cursor(walk=sort, key=row["title_key"], id=row["id"])
    figure = row[_FIGURE[sort]]
    return Cursor(walk=sort, key=-1 if figure is None else figure, id=row["id"])


def _page(
    query: ListTracks, rows: list[asyncpg.Record], total: int, offset: int, next_cursor: str | None
) -> TrackPage:
    return TrackPage(
        total=total,
        items=_SUMMARIES.validate_python([dict(row) for row in rows]),
        limit=query.limit,
        offset=offset,
        next_cursor=next_cursor,
    )
