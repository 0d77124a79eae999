"""Answers of owners."""

from datetime import UTC, datetime

from k1_contracts import queries

TRACK = "trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD"
JOB = "job_01K9Z6Q3T4V8W2X0Y1Z5A7B9CE"
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def page(count: int = 1) -> queries.TrackPage:
    """A page of tracks."""
    items = [
        queries.TrackSummary(
            id=TRACK,
            title=f"Song {number} 🎧",
            artist="DJ",
            duration_ms=240_000,
            bpm=128.0,
            f_measure=0.97,
            status="ready",
            tags=["dark", "peak"],
            current_version=1,
            created_at=NOW,
            updated_at=NOW,
        )
        for number in range(count)
    ]
    return queries.TrackPage(total=count, items=items, limit=50, offset=0)


def job(status: str = "processing", percent: float = 40) -> queries.JobView:
    """A job."""
    return queries.JobView.model_validate(
        {
            "job_id": JOB,
            "track_id": TRACK,
            "version": 1,
            "status": status,
            "percent": percent,
            "priority": 5,
            "created_at": NOW,
        }
    )


def artefacts(signature: str) -> queries.ArtefactList:
    """One artefact whose URL was signed just now."""
    url = f"http://store/k1/metrics.json?X-Amz-Signature={signature}"
    kept = queries.Artefact(type="metrics", name="phase2b_metrics.json", status="present", url=url)
    return queries.ArtefactList(artefacts=[kept])
