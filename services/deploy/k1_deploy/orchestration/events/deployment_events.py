"""Makes the events that are published when a deployment's status changes. Pure."""

from datetime import datetime
from typing import Any

from k1_contracts.descriptors import Publication
from k1_contracts.messages.deploy.deployments import (
    DEPLOY_FAILED,
    DEPLOY_PROGRESSED,
    DEPLOY_ROLLED_BACK,
    DEPLOY_SUCCEEDED,
    DeployFailed,
    DeployProgressed,
    DeployRolledBack,
    DeploySucceeded,
    DeviceResult,
    RequestDeployment,
)
from k1_deploy.saga.state import State


def events_of(state: State, request: RequestDeployment, at: datetime) -> list[Publication[Any]]:
    """Return the events to publish for a change to `state`."""
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
    return [Publication(DEPLOY_PROGRESSED, progressed), *_ending(state, about)]


def _ending(state: State, about: dict[str, object]) -> list[Publication[Any]]:
    why = state.stop.reason if state.stop else "no reason was given"
    end = {
        **about,
        "devices": device_results(state),
        "reason": why,
        "code": state.stop.code if state.stop else "",
    }
    match state.status:
        case "succeeded":
            return [Publication(DEPLOY_SUCCEEDED, DeploySucceeded.model_validate(end))]
        case "rolled_back" | "rollback_pending":
            return [Publication(DEPLOY_ROLLED_BACK, DeployRolledBack.model_validate(end))]
        case "failed" | "cancelled":
            return [Publication(DEPLOY_FAILED, DeployFailed.model_validate(end))]
        case _:
            return []


def device_results(state: State) -> list[DeviceResult]:
    """Return the outcome of each device."""
    return [
        DeviceResult(device_id=device.id, outcome=device.outcome, reason=device.reason)
        for device in state.devices.values()
    ]
