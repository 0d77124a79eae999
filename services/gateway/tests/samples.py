"""Sample responses of the services behind the gateway."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from k1_contracts.messages.analysis import JobView, WorkerList
from k1_contracts.messages.catalogue.graphs import GraphSaved, GraphView, Simulated
from k1_contracts.messages.catalogue.tracks import (
    Artefact,
    ArtefactList,
    TrackDetail,
    TrackPage,
    TrackSummary,
    VersionDetail,
)
from k1_contracts.messages.deploy.deployment_queries import DeploymentPlan, DeploymentView

TRACK = "trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD"
DEPLOYMENT = "dep_01K9Z6Q3T4V8W2X0Y1Z5A7B9CE"
JOB = "job_01K9Z6Q3T4V8W2X0Y1Z5A7B9CE"
GOLDEN = Path(__file__).parents[3] / "libs" / "contracts" / "tests" / "golden"
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def page(count: int = 1) -> TrackPage:
    """Return a page of tracks."""
    items = [
        TrackSummary(
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
    return TrackPage(total=count, items=items, limit=50, offset=0)


def job(status: str = "processing", percent: float = 40) -> JobView:
    """Return a job."""
    return JobView.model_validate(
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


def track() -> TrackDetail:
    """Return a track with its versions."""
    return TrackDetail.model_validate_json(_golden("TrackDetail"))


def version() -> VersionDetail:
    """Return a version."""
    return VersionDetail.model_validate_json(_golden("VersionDetail"))


def workers() -> WorkerList:
    """Return the workers."""
    return WorkerList.model_validate_json(_golden("WorkerList"))


def genesis(*layers: str) -> bytes:
    """Return a map with these layers."""
    whole = json.loads(_golden("GenesisMap"))
    return json.dumps(whole | {"layers": {name: whole["layers"][name] for name in layers}}).encode()


def artefacts(signature: str) -> ArtefactList:
    """Return one artefact whose URL has this signature."""
    url = f"http://store/k1/metrics.json?X-Amz-Signature={signature}"
    kept = Artefact(type="metrics", name="phase2b_metrics.json", status="present", url=url)
    return ArtefactList(artefacts=[kept])


def graph() -> GraphView:
    """Return an edited graph."""
    return GraphView.model_validate_json(_golden("GraphView"))


def saved() -> GraphSaved:
    """Return the effects of an edit."""
    return GraphSaved.model_validate_json(_golden("GraphSaved"))


def simulated() -> Simulated:
    """Return the result of a simulation."""
    return Simulated.model_validate_json(_golden("Simulated"))


def plan(**changes: Any) -> DeploymentPlan:
    """Return the plan of a deployment."""
    return DeploymentPlan.model_validate_json(_golden("DeploymentPlan")).model_copy(update=changes)


def deployment(**changes: Any) -> DeploymentView:
    """Return a deployment."""
    return DeploymentView.model_validate_json(_golden("DeploymentView")).model_copy(update=changes)


def _golden(name: str) -> str:
    return (GOLDEN / name / "v1.json").read_text()
