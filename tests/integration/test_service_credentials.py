"""The server keeps each service to its own subjects."""

import asyncio
from collections.abc import Iterator

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from k1_cli.stack.embedded.servers.nats import NatsServer
from k1_contracts.messages.accounts.authentication import AUTH_LOGIN
from k1_contracts.messages.deploy.deployments import DEPLOY_REQUESTED
from k1_contracts.messages.telemetry import DEVICE_ALARM
from k1_platform.auth.service_permissions import SERVICES, inbox_prefix
from k1_platform.settings import NatsSettings
from tests.support.bus import connected_client, flush
from tests.support.servers.nats_server import running_nats_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with running_nats_server(tmp_path_factory.mktemp("bus"), provisioned=True) as server:
        yield server


def settings_of(server: NatsServer, service: str) -> NatsSettings:
    return NatsSettings(url=server.url, creds=server.keys.service_credentials(service))


async def violations(server: NatsServer, service: str, publish: str, subscribe: str) -> list[str]:
    """Return what the server says when a service publishes on one subject and subscribes to another."""
    errors: list[str] = []

    async def collect(error: Exception) -> None:
        errors.append(str(error).lower())

    async def ignore(_: object) -> None:
        """Take the message: the test looks only at errors."""

    options = {"error_cb": collect, "inbox_prefix": inbox_prefix(service)}
    async with connected_client(settings_of(server, service), **options) as client:
        await client.publish(publish, b"{}")
        await client.subscribe(subscribe, cb=ignore)
        await flush(client)
    return errors


async def test_every_service_connects_with_its_credential(server: NatsServer) -> None:
    """The server accepts all of them, and a reply reaches the inbox of the service."""
    for service in SERVICES:
        inbox = f"{inbox_prefix(service)}.test"
        assert await violations(server, service, "dlq.EVENTS.test", inbox) == []


async def test_telemetry_orders_no_deployment_and_reads_no_query_of_accounts(server: NatsServer) -> None:
    """Its own alarms it may publish."""
    own = f"{inbox_prefix('telemetry')}.x"
    assert await violations(server, "telemetry", DEVICE_ALARM.subject, own) == []
    refused = await violations(server, "telemetry", DEPLOY_REQUESTED.subject, AUTH_LOGIN.subject)
    assert len(refused) == 2
    assert any(f'publish to "{DEPLOY_REQUESTED.subject}"' in error for error in refused), refused
    assert any(f'subscription to "{AUTH_LOGIN.subject}"' in error for error in refused), refused


async def test_no_service_reads_the_replies_of_another(server: NatsServer) -> None:
    """Replies hold tokens, keys and links."""
    for inbox in ("_INBOX.>", f"{inbox_prefix('gateway')}.>", ">"):
        assert len(await violations(server, "webhooks", "dlq.EVENTS.test", inbox)) == 1


async def test_a_service_replies_only_to_whom_it_was_asked_by(server: NatsServer) -> None:
    """A responder may publish on the reply subject of a query, and nowhere else below the inboxes."""
    inbox = f"{inbox_prefix('gateway')}.not-asked"
    assert len(await violations(server, "accounts", inbox, f"{inbox_prefix('accounts')}.x")) == 1

    async with (
        connected_client(settings_of(server, "accounts"), inbox_prefix=inbox_prefix("accounts")) as owner,
        connected_client(settings_of(server, "gateway"), inbox_prefix=inbox_prefix("gateway")) as gateway,
    ):
        await _serve(owner)
        replies = await asyncio.gather(
            *(gateway.request(AUTH_LOGIN.subject, b"?", timeout=60) for _ in range(50))
        )
    assert {reply.data for reply in replies} == {b"!"}


async def _serve(owner: Client) -> None:
    async def reply(message: Msg) -> None:
        await message.respond(b"!")

    await owner.subscribe(AUTH_LOGIN.subject, queue="accounts", cb=reply)
    await flush(owner)
