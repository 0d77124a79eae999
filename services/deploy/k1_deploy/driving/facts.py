"""What the world is told when a deployment's status changes. Pure."""

from datetime import datetime

from k1_contracts import subjects
from k1_contracts.messages.deployments import (
    DeployEvent,
    DeployFailed,
    DeployProgressed,
    DeployRolledBack,
    DeploySucceeded,
    DeviceResult,
    RequestDeployment,
)
from k1_deploy.saga.state import State


def facts_of(state: State, request: RequestDeployment, at: datetime) -> list[tuple[str, DeployEvent]]:
    """Subject and body of each fact that a change to `state` is told by."""
    about: dict[str, object] = {
        "deployment_id": state.deployment_id,
        "track_id": request.track_id,
        "version": request.version,
        "bundle_sha256": state.bundle.sha256 if state.bundle else None,
        "at": at,
    }
    progressed = DeployProgressed.model_validate(
        {
            **about,
            "status": state.status,
            "paused": state.paused,
            "total": state.total,
            "counts": state.counts(),
        }
    )
    return [(subjects.DEPLOY_PROGRESSED, progressed), *_ending(state, about)]


def _ending(state: State, about: dict[str, object]) -> list[tuple[str, DeployEvent]]:
    why = state.stop.reason if state.stop else "no reason was given"
    end = {**about, "devices": results(state), "reason": why, "code": state.stop.code if state.stop else ""}
    match state.status:
        case "succeeded":
            return [(subjects.DEPLOY_SUCCEEDED, DeploySucceeded.model_validate(end))]
        case "rolled_back" | "rollback_pending":
            return [(subjects.DEPLOY_ROLLED_BACK, DeployRolledBack.model_validate(end))]
        case "failed" | "cancelled":
            return [(subjects.DEPLOY_FAILED, DeployFailed.model_validate(end))]
        case _:
            return []


def results(state: State) -> list[DeviceResult]:
    """How it went for each device."""
    return [
        DeviceResult(device_id=device.id, outcome=device.outcome, reason=device.reason)
        for device in state.devices.values()
    ]
