"""Hostile requests of deployments are rejected with reasons."""

import json
from typing import Any

import httpx
import pytest

from k1_contracts.messages.deploy.deployments import DEPLOYMENT_MAX_DEVICES
from services.gateway.tests import samples
from services.gateway.tests.conftest import Owners
from services.gateway.tests.deployments.requested_deployments import ORDER, URL, RequestedDeployments

_MANY = [f"k1-{number}" for number in range(DEPLOYMENT_MAX_DEVICES + 1)]
HOSTILE: list[tuple[Any, int, str, str]] = [
    ("[" * 200_000, 400, "malformed_json", "JSON"),
    ('{"track_id": ' + '{"a":' * 5000 + "1" + "}" * 5001, 400, "malformed_json", "JSON"),
    ('{"version": NaN}', 400, "malformed_json", "NaN"),
    ('{"strategy": {"observe_seconds": -Infinity}}', 400, "malformed_json", "Infinity"),
    (b"\xff\xfe", 400, "malformed_json", "JSON"),
    (" " * 1_100_000, 413, "body_too_large", "1 MiB"),
    ("[]", 422, "invalid_body", "object"),
    ("", 422, "invalid_body", "object"),
    ({}, 422, "invalid_body", "track_id"),
    ({**ORDER, "colour": "red"}, 422, "invalid_body", "colour"),
    ({**ORDER, "deployment_id": samples.DEPLOYMENT}, 422, "invalid_body", "deployment_id"),
    ({**ORDER, "strategy": {"canry": 1}}, 422, "invalid_body", "strategy.canry"),
    ({**ORDER, "version": True}, 422, "invalid_body", "version"),
    ({**ORDER, "version": "3"}, 422, "invalid_body", "version"),
    ({**ORDER, "version": 10**30}, 422, "invalid_body", "version"),
    ({**ORDER, "dry_run": "no"}, 422, "invalid_body", "dry_run"),
    ({**ORDER, "device_ids": []}, 422, "invalid_body", "device_ids"),
    ({**ORDER, "device_ids": _MANY}, 422, "invalid_body", "device_ids"),
    ({**ORDER, "device_ids": ["a.b"] * 1500}, 422, "invalid_body", "1450 more"),
    ({**ORDER, "device_ids": ["*"]}, 422, "invalid_body", "device_ids.0"),
    ({**ORDER, "group": "stage"}, 422, "invalid_body", "either device_ids or group"),
    ({"track_id": samples.TRACK, "version": 1}, 422, "invalid_body", "either device_ids or group"),
    ({**ORDER, "strategy": {"max_failures": "101%"}}, 422, "invalid_body", "max_failures"),
    ({**ORDER, "strategy": {"max_failures": -1}}, 422, "invalid_body", "max_failures"),
    ({**ORDER, "activation": {"when": "time", "at": "2026-05-01T20:00:00"}}, 422, "invalid_body", "zone"),
    ({**ORDER, "activation": {"when": "later"}}, 422, "invalid_body", "activation"),
    ({**ORDER, "overrides": [{"gate": "firmware", "reason": "short"}]}, 422, "invalid_body", "overrides.0"),
    ({**ORDER, "requested_by": "a\0b"}, 422, "invalid_body", "requested_by"),
    ('{"track_id": "\\ud800"}', 422, "invalid_body", "track_id"),
]


@pytest.mark.parametrize(("body", "status", "code", "named"), HOSTILE)
async def test_a_hostile_request_is_rejected_with_reasons(
    http: httpx.AsyncClient,
    deploy: Owners,
    requested: RequestedDeployments,
    *,
    body: Any,
    status: int,
    code: str,
    named: str,
) -> None:
    """The faults are named in a response of limited size; no query is sent, nothing is published."""
    content = body if isinstance(body, str | bytes) else json.dumps(body)
    response = await http.post(URL, content=content, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert named in response.json()["detail"]
    assert len(response.content) < 20_000
    assert deploy.received == []
    assert await requested.count() == 0
