"""Reading devices, bundles and deployments: each request is one query to deploy."""

from typing import Any

import httpx
import pytest

from k1_contracts.messages.deploy.bundles import BUNDLE_GET, BundleView, GetBundle
from k1_contracts.messages.deploy.deployment_queries import (
    DEPLOYMENT_GET,
    DEPLOYMENT_LIST,
    DeploymentPage,
    DeploymentView,
    GetDeployment,
    ListDeployments,
)
from k1_contracts.messages.deploy.devices import (
    DEVICE_GET,
    DEVICE_LIST,
    DevicePage,
    DeviceView,
    GetDevice,
    ListDevices,
)
from k1_platform.nats.queries.rpc import QueryError
from services.gateway.tests import samples
from services.gateway.tests.conftest import Owners
from services.gateway.tests.deployments.requested_deployments import API, UNKNOWN
from services.gateway.tests.schemas import assert_matches


@pytest.mark.parametrize(
    ("path", "subject", "model", "query"),
    [
        (
            "/devices?group=stage&include_revoked=true&limit=1000&offset=3&cursor=abc",
            DEVICE_LIST.subject,
            DevicePage,
            ListDevices(group="stage", include_revoked=True, limit=1000, offset=3, cursor="abc"),
        ),
        (
            "/devices/k1-stage-left",
            DEVICE_GET.subject,
            DeviceView,
            GetDevice(device_id="k1-stage-left"),
        ),
        (
            f"/tracks/{samples.TRACK}/versions/3/bundle",
            BUNDLE_GET.subject,
            BundleView,
            GetBundle(track_id=samples.TRACK, version=3),
        ),
        (
            f"/deployments?track_id={samples.TRACK}&device_id=k1-a&status=staging&limit=7&offset=1",
            DEPLOYMENT_LIST.subject,
            DeploymentPage,
            ListDeployments(track_id=samples.TRACK, device_id="k1-a", status="staging", limit=7, offset=1),
        ),
        (
            f"/deployments/{samples.DEPLOYMENT}",
            DEPLOYMENT_GET.subject,
            DeploymentView,
            GetDeployment(deployment_id=samples.DEPLOYMENT),
        ),
    ],
)
async def test_each_read_sends_its_query_to_deploy(
    http: httpx.AsyncClient, owners: Owners, *, path: str, subject: str, model: Any, query: Any
) -> None:
    """Path and parameters become the query; the result comes back unchanged and matches the schema."""
    response = model.model_validate_json((samples.GOLDEN / model.__name__ / "v1.json").read_text())
    owners.respond_with(subject, response)
    got = await http.get(API + path)
    assert (got.status_code, owners.received) == (200, [query])
    assert model.model_validate_json(got.content) == response
    assert_matches(got.json(), model.__name__)


@pytest.mark.parametrize(
    ("path", "subject", "error"),
    [
        ("/devices/k1-z", DEVICE_GET.subject, QueryError("device_not_found", "No such device.", 404)),
        (f"/deployments/{samples.DEPLOYMENT}", DEPLOYMENT_GET.subject, UNKNOWN),
        (f"/deployments/{samples.DEPLOYMENT}/events", DEPLOYMENT_GET.subject, UNKNOWN),
        (
            f"/tracks/{samples.TRACK}/versions/1/bundle",
            BUNDLE_GET.subject,
            QueryError("bundle_missing", "Simulate the graph first.", 409),
        ),
    ],
)
async def test_an_error_of_deploy_becomes_a_problem(
    http: httpx.AsyncClient, owners: Owners, path: str, subject: str, error: QueryError
) -> None:
    """The problem has the code, the sentence and the status of deploy."""
    owners.respond_with(subject, error)
    response = await http.get(API + path)
    assert (response.status_code, response.json()["code"]) == (error.status, error.code)
    assert_matches(response.json(), "Problem")


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/devices/k1%20a", "must be 1 to 40 of"),
        ("/devices/" + "x" * 41, "must be 1 to 40 of"),
        ("/devices?group=a.b", "must be 1 to 40 of"),
        ("/deployments/dep_1", "is no id of this kind"),
        ("/deployments?status=running", "Input should be"),
    ],
)
async def test_an_invalid_name_is_explained(http: httpx.AsyncClient, path: str, hint: str) -> None:
    """The problem shows what a name of this kind looks like."""
    response = await http.get(API + path)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_parameter")
    assert hint in response.json()["errors"][0]["message"]
