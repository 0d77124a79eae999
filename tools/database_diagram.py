"""Writes docs/database.md: the tables of every schema, as the migrations make them.

`.venv/bin/python -m tools.database_diagram [HOME]`, while `./k1 up` runs there, after each change of a migration.
"""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg

from k1_cli.stack.running_stack import require_stack

DOCUMENT: Final = Path(__file__).parents[1] / "docs" / "database.md"
_HEAD: Final = """\
# The tables of PostgreSQL

Written by `python -m tools.database_diagram` from a database that the migrations made. Each schema belongs to one
service, and no other service reads it ([who owns what](architecture.md#who-owns-what)). Every schema has a table
`migrations`, which is left out here; partitions are left out too. Maps are in MongoDB, files in the object store.
"""
_SCHEMAS: Final = """
SELECT nspname FROM pg_namespace
WHERE nspname !~ '^pg_' AND nspname NOT IN ('public', 'information_schema') ORDER BY nspname
"""
_COLUMNS: Final = """
SELECT c.relname AS table, a.attname AS name, format_type(a.atttypid, NULL) AS type,
    EXISTS (SELECT FROM pg_constraint AS k WHERE k.conrelid = c.oid AND k.contype = 'p' AND a.attnum = ANY (k.conkey))
        AS is_key,
    EXISTS (SELECT FROM pg_constraint AS k WHERE k.conrelid = c.oid AND k.contype = 'f' AND a.attnum = ANY (k.conkey))
        AS is_reference
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid
WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> 'migrations'
  AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY c.relname, a.attnum
"""
_REFERENCES: Final = """
SELECT DISTINCT c.relname AS table, t.relname AS target
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.conrelid
JOIN pg_class AS t ON t.oid = k.confrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND k.contype = 'f' AND NOT c.relispartition AND NOT t.relispartition
ORDER BY 1, 2
"""
_SHORT_TYPES: Final = {
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
    "double precision": "float8",
    "character varying": "varchar",
}
"""Types without spaces, as a diagram of mermaid wants them."""


@dataclass(frozen=True, slots=True)
class Schema:
    """The tables of one service, and which table refers to which."""

    name: str
    columns: Sequence[asyncpg.Record]
    references: Sequence[asyncpg.Record]


async def read_schemas(dsn: str) -> list[Schema]:
    """Return the schemas of a migrated database, sorted by name."""
    connection = await asyncpg.connect(dsn)
    try:
        return [
            Schema(
                row["nspname"],
                await connection.fetch(_COLUMNS, row["nspname"]),
                await connection.fetch(_REFERENCES, row["nspname"]),
            )
            for row in await connection.fetch(_SCHEMAS)
        ]
    finally:
        await connection.close()


def render(schemas: Sequence[Schema]) -> str:
    """Return the document: one diagram for each schema."""
    lines = [_HEAD]
    for schema in schemas:
        lines += [f"## {schema.name}\n", "```mermaid", "erDiagram", *_diagram(schema), "```\n"]
    return "\n".join(lines)


def _diagram(schema: Schema) -> Iterator[str]:
    table = None
    for column in schema.columns:
        if column["table"] != table:
            if table is not None:
                yield "    }"
            table = column["table"]
            yield f"    {table} {{"
        marks = ", ".join(
            mark for mark, is_set in (("PK", column["is_key"]), ("FK", column["is_reference"])) if is_set
        )
        kind = _SHORT_TYPES.get(column["type"], column["type"]).replace(" ", "_")
        yield f"        {kind} {column['name']} {marks}".rstrip()
    if table is not None:
        yield "    }"
    for reference in schema.references:
        yield f'    {reference["target"]} ||--o{{ {reference["table"]} : ""'


if __name__ == "__main__":
    stack = require_stack(Path(*sys.argv[1:2] or [".k1"]))
    DOCUMENT.write_text(render(asyncio.run(read_schemas(stack.environment["K1_POSTGRES_DSN"]))), "utf-8")
