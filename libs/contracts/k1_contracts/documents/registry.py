"""Collects every message of the bus: documents and contract tests are made from this list."""

from typing import Any

from k1_contracts.descriptors import Message, messages_in
from k1_contracts.messages import (
    accounts,
    accounts_auth,
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
    track_edits,
    track_history,
    tracks,
    webhooks,
)

MESSAGES: tuple[Message[Any], ...] = tuple(
    message
    for module in (
        tracks,
        track_edits,
        track_history,
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
        webhooks,
        accounts_auth,
        accounts,
    )
    for message in messages_in(module)
)
