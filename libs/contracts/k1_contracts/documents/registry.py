"""Collects every message of the bus: documents and contract tests are made from this list."""

from typing import Any

from k1_contracts.descriptors import Message, messages_in
from k1_contracts.messages import alarms, analysis, drift, fleet, telemetry, telemetry_history, webhooks
from k1_contracts.messages.accounts import authentication, users
from k1_contracts.messages.catalogue import (
    beats,
    graph_edits,
    graphs,
    job_moves,
    media,
    similar,
    storage,
    track_changes,
    track_edits,
    track_history,
    track_uploads,
    tracks,
)
from k1_contracts.messages.deploy import bundles, deployment_queries, deployments, device_link, devices

MESSAGES: tuple[Message[Any], ...] = tuple(
    message
    for module in (
        tracks,
        track_uploads,
        track_edits,
        track_changes,
        track_history,
        analysis,
        job_moves,
        graphs,
        graph_edits,
        beats,
        similar,
        bundles,
        deployments,
        deployment_queries,
        devices,
        device_link,
        telemetry,
        telemetry_history,
        drift,
        alarms,
        fleet,
        media,
        storage,
        webhooks,
        authentication,
        users,
    )
    for message in messages_in(module)
)
