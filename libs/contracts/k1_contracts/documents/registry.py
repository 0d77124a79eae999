"""Collects every message of the bus: documents and contract tests are made from this list."""

from typing import Any

from k1_contracts.descriptors import Message, messages_in
from k1_contracts.messages import (
    analysis,
    bundles,
    deployment_queries,
    deployments,
    device_link,
    devices,
    graphs,
    similar,
    telemetry,
    track_uploads,
    tracks,
)

MESSAGES: tuple[Message[Any], ...] = tuple(
    message
    for module in (
        tracks,
        track_uploads,
        analysis,
        graphs,
        similar,
        bundles,
        deployments,
        deployment_queries,
        devices,
        device_link,
        telemetry,
    )
    for message in messages_in(module)
)
