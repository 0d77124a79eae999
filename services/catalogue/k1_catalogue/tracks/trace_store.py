"""The table `analysis_traces`: the trace in which each version was made."""

from opentelemetry import propagate

from k1_platform.postgres.pool import Connection


async def save_trace(connection: Connection, track_id: str, version: int) -> None:
    """Store the current trace as that of a version; without a trace, nothing is stored."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    if "traceparent" in carrier:
        await connection.execute(
            "INSERT INTO catalogue.analysis_traces (track_id, version, traceparent) VALUES ($1, $2, $3)"
            " ON CONFLICT (track_id, version) DO UPDATE SET traceparent = excluded.traceparent",
            track_id,
            version,
            carrier["traceparent"],
        )


async def find_trace(connection: Connection, track_id: str, version: int) -> str | None:
    """Return the trace of a version as a W3C traceparent; None if it is not known."""
    return await connection.fetchval(
        "SELECT traceparent FROM catalogue.analysis_traces WHERE track_id = $1 AND version = $2",
        track_id,
        version,
    )
