"""Collects every message of the bus: documents and contract tests are made from this list."""

from typing import Any

from k1_contracts.descriptors import Message, messages_in
from k1_contracts.messages import (
    analysis,
    beats,
    bundles,
    deployment_queries,
    deployments,
    device_link,
    devices,
    graphs,
    media,
    similar,
    storage,
    telemetry,
    tracks,
)

MESSAGES: tuple[Message[Any], ...] = tuple(
    message
    for module in (
        tracks,
        analysis,
        graphs,
        beats,
        similar,
        bundles,
        deployments,
        deployment_queries,
        devices,
        device_link,
        telemetry,
        media,
        storage,
    )
    for message in messages_in(module)
)
