"""The commands that are published, and a deploy that accepts every request."""

import pytest
from nats.aio.client import Client

from k1_contracts import streams
from k1_contracts.messages.deploy.deployment_queries import DEPLOYMENT_GET, DEPLOYMENT_PLAN
from services.gateway.tests import samples
from services.gateway.tests.conftest import Owners
from services.gateway.tests.deployments.requested_deployments import RequestedDeployments
from tests.support.waiting import PATIENCE_S


@pytest.fixture
async def requested(nats_client: Client) -> RequestedDeployments:
    jetstream = nats_client.jetstream(timeout=PATIENCE_S)
    return RequestedDeployments(jetstream, (await jetstream.stream_info(streams.EVENTS)).state.last_seq)


@pytest.fixture
def deploy(owners: Owners) -> Owners:
    """Fake a deploy that accepts every request and creates the deployment at once."""
    owners.respond_with(DEPLOYMENT_PLAN.subject, samples.plan())
    owners.respond_with(DEPLOYMENT_GET.subject, samples.deployment())
    return owners
