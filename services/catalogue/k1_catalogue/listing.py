"""`GET /tracks`: pages of tracks by sort, filter and search, with exact totals.

A list walks one index from where its cursor or offset says, and its total comes from the counters that
triggers keep. A search ranks at most SEARCH_MOST matches, the newest, and counts no further.
"""

from dataclasses import dataclass, field
from typing import Final

import asyncpg

from k1_catalogue.cursors import Cursor, read_cursor, write_cursor
from k1_catalogue.search import WEIGHTS, Search, parse_search
from k1_contracts.messages.tracks import ListTracks, TrackPage, TrackSort, TrackSummary
from k1_platform.database import Connection, Pool

SEARCH_MOST: Final = 1000
_COLUMNS: Final = (
    "id, title, artist, duration_ms, bpm, f_measure, status, preset, tags, current_version,"
    " created_at, updated_at"
)
_KEY: Final[dict[TrackSort, str]] = {
    "newest": "created_at",
    "oldest": "created_at",
    "f_measure": "coalesce(f_measure, -1)",
    "duration": "coalesce(duration_ms, -1)",
}
"""What each sort sorts by, then by id; the indexes are on these expressions. Unknown figures come last."""
_WEIGHTS: Final = "'{" + ", ".join(map(str, WEIGHTS)) + "}'::real[]"


@dataclass(slots=True)
class _Filter:
    """The WHERE clause of a list and its arguments."""

    clauses: list[str] = field(default_factory=lambda: ["true"])
    arguments: list[object] = field(default_factory=list[object])

    def add(self, clause: str, *arguments: object) -> None:
        """A clause in which `{0}`, `{1}`, ... stand for the arguments."""
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


async def list_tracks(pool: Pool, question: ListTracks) -> TrackPage:
    """One page; raises AnswerError `invalid_cursor`."""
    search = parse_search(question.search)
    async with pool.acquire() as connection:
        if search is not None:
            return await _search_page(connection, question, search)
        if question.search and question.search.strip():
            return _page(question, [], 0, question.offset, None)
        return await _walk_page(connection, question)


async def _walk_page(connection: Connection, question: ListTracks) -> TrackPage:
    rows = await _walk(connection, question)
    total = await _total(connection, question)
    page, is_more = rows[: question.limit], len(rows) > question.limit
    following = write_cursor(_cursor_at(question.sort, page[-1])) if is_more else None
    return _page(question, page, total, 0 if question.cursor else question.offset, following)


async def _walk(connection: Connection, question: ListTracks) -> list[asyncpg.Record]:
    """The rows of a page and, when there are more, the first of the next."""
    chosen = _filter(question)
    key, descending = _KEY[question.sort], question.sort != "oldest"
    direction, beyond = ("DESC", "<") if descending else ("ASC", ">")
    if question.cursor:
        cursor = read_cursor(question.cursor, question.sort)
        after = cursor.time if key == "created_at" else cursor.key
        chosen.add(f"({key}, id) {beyond} ({{0}}, {{1}})", after, cursor.id)
    limit = chosen.argument(question.limit + 1)
    offset = chosen.argument(0 if question.cursor else question.offset)
    return await connection.fetch(
        # The inner query skips to the page in the index alone.
        f"""
        SELECT {_COLUMNS} FROM catalogue.tracks JOIN (
            SELECT id FROM catalogue.tracks WHERE {chosen.where}
            ORDER BY {key} {direction}, id {direction} LIMIT {limit} OFFSET {offset}
        ) AS page USING (id)
        ORDER BY {key} {direction}, id {direction}
        """,  # noqa: S608  built of constants of ours
        *chosen.arguments,
    )


async def _total(connection: Connection, question: ListTracks) -> int:
    total: int | None = await connection.fetchval(
        """
        SELECT sum(n)::bigint FROM catalogue.totals
        WHERE kind = 'tracks' AND ($1::text IS NULL OR status = $1) AND ($2::text IS NULL OR preset = $2)
        """,
        question.status,
        question.preset,
    )
    return total or 0


async def _search_page(connection: Connection, question: ListTracks, search: Search) -> TrackPage:
    cursor = read_cursor(question.cursor, "search") if question.cursor else None
    offset = int(cursor.key) if cursor else question.offset
    total, rows = await _matches(connection, question, search.exact, search.rank, offset)
    if total == 0:
        total, rows = await _matches(connection, question, search.similar, search.rank, offset)
    end = offset + len(rows)
    following = write_cursor(Cursor(walk="search", key=end)) if rows and end < total else None
    return _page(question, rows, total, offset, following)


async def _matches(
    connection: Connection, question: ListTracks, query: str, rank: str, offset: int
) -> tuple[int, list[asyncpg.Record]]:
    """How many rows match a `tsquery`, and a page of them: best first, unless a sort other than newest is asked."""
    chosen = _filter(question)
    chosen.add("search @@ {0}::text::tsquery", query)
    ranking, limit, skipped = map(chosen.argument, (rank, question.limit, offset))
    key, direction = _KEY[question.sort], "ASC" if question.sort == "oldest" else "DESC"
    order = f"{key} {direction}, id {direction}"
    if question.sort == "newest":
        order = f"score DESC, {order}"
    rows = await connection.fetch(
        f"""
        WITH matches AS MATERIALIZED (
            SELECT {_COLUMNS}, search FROM catalogue.tracks WHERE {chosen.where}
            ORDER BY created_at DESC, id DESC LIMIT {SEARCH_MOST}
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


def _filter(question: ListTracks) -> _Filter:
    chosen = _Filter()
    if question.status is not None:
        chosen.add("status = {0}", question.status)
    if question.preset is not None:
        chosen.add("preset = {0}", question.preset)
    return chosen


def _cursor_at(sort: TrackSort, row: asyncpg.Record) -> Cursor:
    if sort in {"newest", "oldest"}:
        return Cursor.at_time(sort, row["created_at"], row["id"])
    figure = row["f_measure"] if sort == "f_measure" else row["duration_ms"]
    return Cursor(walk=sort, key=-1 if figure is None else figure, id=row["id"])


def _page(
    question: ListTracks, rows: list[asyncpg.Record], total: int, offset: int, following: str | None
) -> TrackPage:
    return TrackPage(
        total=total,
        items=[summary(row) for row in rows],
        limit=question.limit,
        offset=offset,
        next_cursor=following,
    )


def summary(row: asyncpg.Record) -> TrackSummary:
    """A list's row."""
    return TrackSummary.model_validate(dict(row))
