"""What a device may do on the bus, on a real server over NATS and MQTT: use its own subjects and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from k1_cli.stack.embedded.servers.nats import NatsServer
from k1_contracts import subjects
from k1_contracts.messages.deploy.device_link import DEVICE_FETCH
from k1_contracts.messages.deploy.devices import DeviceCredential
from k1_contracts.messages.telemetry import DEVICE_READINGS
from k1_deploy.devices.access.credential_issuer import NatsCredentialIssuer
from k1_platform.auth.claims import device_claims
from k1_platform.auth.device_credentials import load_device_keys
from k1_platform.auth.jwt import KeyKind, KeyPair, encode, parse_credentials
from k1_platform.auth.nkeys import ensure_nats_keys
from k1_platform.nats.administration.accounts import AccountRejectedError
from services.deploy.tests.devices.access.device_connections import (
    DeviceConnection,
    ignore,
    issuer_for,
    over_mqtt,
    over_nats,
    refused_mqtt,
    refused_nats,
)
from tests.support.bus import connected_client, flush
from tests.support.servers.nats_server import running_nats_server
from tests.support.waiting import PATIENCE_S, eventually

OWN = (
    subjects.device("A", "hello"), subjects.device("A", "bye"), subjects.device("A", "reply"),
    subjects.device("A", "fetch"), DEVICE_READINGS.subject_for("A"),
)  # fmt: skip
"""Subjects that device A may publish on."""
FOREIGN = (
    "device.B.hello", "device.B.bye", "device.B.reply", "device.B.fetch", "device.A.anything", "device.A",
    "telemetry.B", "telemetry.A.more", "command.B.activate", "command.A.activate", "live.telemetry.A",
    "deploy.requested", "track.uploaded", "analysis.requested", "work.analysis.p5", "device.online",
    "rpc.deploy.device.add", "redrive.deploy-devices.device.B.hello", "dlq.EVENTS.deploy", "_INBOX.B.1",
    "$KV.PRESENCE.B", "$KV.LEADERS.deploy",
)  # fmt: skip
"""Subjects that device A may not publish on."""
SERVERS_OWN = (
    "$JS.API.INFO", "$JS.API.STREAM.DELETE.EVENTS", "$JS.ACK.EVENTS.deploy.1.1.1.1.1",
    "$SYS.REQ.CLAIMS.UPDATE", "$SYS.REQ.SERVER.PING", "$MQTT.sub.anything",
)  # fmt: skip
"""Likewise, and only the server would receive them."""
OVERHEARD = (
    ">", "*.>", "command.>", "command.*.activate", "command.B.>", "command.B.ping", "device.>", "device.A.hello",
    "telemetry.*", "telemetry.A", "rpc.>", "live.>", "deploy.*", "_INBOX.>", "_INBOX.B.>", "$SYS.>", "$JS.>",
    "$JS.EVENT.>", "$KV.>", "$MQTT.>", "$MQTT.sub.>", "$MQTT.sub.*", "$MQTT.sub.x",
)  # fmt: skip
"""Subjects that device A may not subscribe to."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with running_nats_server(tmp_path_factory.mktemp("home"), provisioned=True) as running:
        yield running


@pytest.fixture
async def services(server: NatsServer) -> AsyncIterator[Client]:
    """A connection with the permissions of a service."""
    async with connected_client(server.settings) as client:
        yield client


@asynccontextmanager
async def record_subjects(services: Client) -> AsyncIterator[list[str]]:
    """Record the subjects of all messages in the account, except the server's own."""
    seen: list[str] = []

    async def record(message: Msg) -> None:
        if not message.subject.startswith(("$MQTT.", "$JS.")):
            seen.append(message.subject)

    subscription = await services.subscribe(">", cb=record)
    await flush(services)
    yield seen
    await subscription.unsubscribe()


def denied(link: DeviceConnection, kind: str, subject: str) -> bool:
    """Return whether the server denied it; nats-py lowers the case of the server's text."""
    return f'nats: permissions violation for {kind} to "{subject.lower()}"' in link.errors


async def test_a_device_publishes_on_its_own_subjects(
    server: NatsServer, services: Client, tmp_path: Path
) -> None:
    """It may publish hello, bye, reply, fetch and telemetry."""
    minted = issuer_for(server).mint("A", "nats")
    async with record_subjects(services) as seen, over_nats(server, minted.credential, tmp_path) as link:
        for subject in OWN:
            await link.client.publish(subject, b"{}")
        await eventually(lambda: set(OWN) <= set(seen), "all are seen", interval_s=0.005)
        assert link.errors == []


async def test_a_device_cannot_make_the_server_publish_for_it(
    server: NatsServer, services: Client, tmp_path: Path
) -> None:
    """A message may name any reply subject; the server publishes nothing to it, be it B's commands or a bucket."""
    minted = issuer_for(server).mint("A", "nats")
    async with record_subjects(services) as seen, over_nats(server, minted.credential, tmp_path) as link:
        jetstream = services.jetstream(timeout=PATIENCE_S)

        async def stored(stream: str) -> int:
            return (await jetstream.stream_info(stream)).state.last_seq

        kept = {"DEVICES": 2, "TELEMETRY": 1}  # how many of its own subjects a stream keeps
        full = {stream: await stored(stream) + count * len(FOREIGN) for stream, count in kept.items()}
        for subject in FOREIGN:
            for own in OWN:
                await link.client.publish(own, b"{}", reply=subject)

        async def all_are_stored() -> bool:
            return all([await stored(stream) >= last for stream, last in full.items()])

        # The streams are queried last: whatever they would have replied was sent before.
        await eventually(all_are_stored, "the streams have stored every message", interval_s=0.01)
        await eventually(
            lambda: len(seen) >= len(FOREIGN) * len(OWN), "what is its own is seen", interval_s=0.005
        )
        assert set(OWN) <= set(seen)
        assert not set(FOREIGN) & set(seen)


async def test_a_device_may_publish_nothing_else(
    server: NatsServer, services: Client, tmp_path: Path
) -> None:
    """Other devices' subjects, the services' and the server's: each is denied with an error and not delivered."""
    minted = issuer_for(server).mint("A", "nats")
    async with record_subjects(services) as seen, over_nats(server, minted.credential, tmp_path) as link:
        for subject in (*FOREIGN, *SERVERS_OWN):
            await link.client.publish(subject, b"{}")
        await link.client.publish(OWN[0], b"{}")
        await eventually(lambda: OWN[0] in seen, "what is its own is seen", interval_s=0.005)
        assert seen == [OWN[0]]
        for subject in (*FOREIGN, *SERVERS_OWN):
            await eventually(
                lambda s=subject: denied(link, "publish", s), f"{subject} is refused", interval_s=0.005
            )


async def test_a_device_may_subscribe_to_nothing_else(server: NatsServer, tmp_path: Path) -> None:
    """Subscriptions to commands and replies of others, and to matching wildcards, are denied with an error."""
    minted = issuer_for(server).mint("A", "nats")
    async with over_nats(server, minted.credential, tmp_path) as link:
        for subject in OVERHEARD:
            await link.client.subscribe(subject)
        for subject in OVERHEARD:
            await eventually(
                lambda s=subject: denied(link, "subscription", s), f"{subject} is refused", interval_s=0.005
            )
        await link.client.subscribe("command.A.>", queue="group")
        await flush(link.client)
        assert len(link.errors) == len(OVERHEARD)


async def test_a_command_gets_one_reply(server: NatsServer, services: Client, tmp_path: Path) -> None:
    """A service sends a command, the device replies to its reply subject; a second reply is denied."""
    minted = issuer_for(server).mint("A", "nats")
    async with over_nats(server, minted.credential, tmp_path) as link:

        async def answer(message: Msg) -> None:
            await message.respond(b"first")
            await message.respond(b"second")

        await link.client.subscribe("command.A.>", cb=answer)
        await flush(link.client)
        assert (
            await services.request(subjects.command("A", "ping"), b"{}", timeout=PATIENCE_S)
        ).data == b"first"
        await eventually(lambda: len(link.errors) == 1, "the second answer is refused", interval_s=0.005)
        assert "permissions violation for publish" in link.errors[0]


async def test_a_fetch_gets_its_response(server: NatsServer, services: Client, tmp_path: Path) -> None:
    """A fetch is a request: its response reaches the device's own inbox."""
    minted = issuer_for(server).mint("A", "nats")

    async def serve(message: Msg) -> None:
        assert message.reply.startswith("_INBOX.A.")
        await message.respond(b"chunk")

    subscription = await services.subscribe(DEVICE_FETCH.pattern, cb=serve)
    await flush(services)
    async with over_nats(server, minted.credential, tmp_path) as link:
        answer = await link.client.request(subjects.device("A", "fetch"), b"{}", timeout=PATIENCE_S)
        assert answer.data == b"chunk"
    await subscription.unsubscribe()


async def test_mqtt_own_topics_work(server: NatsServer, services: Client) -> None:
    """QoS 0 and 1, wildcard and plain subscriptions: a NATS command reaches the device and is replied to."""
    minted = issuer_for(server).mint("A", "mqtt")
    for qos, topic in ((0, "command/A/#"), (1, "command/A/#"), (0, "command/A/+"), (1, "command/A/ping")):
        async with record_subjects(services) as seen, over_mqtt(server, minted.credential) as device:
            [granted] = await device.subscribe(topic)
            assert getattr(granted, "value", granted) == 0
            for subject in OWN:
                await device.publish(subject.replace(".", "/"), b"{}", qos)
            await eventually(lambda: set(OWN) <= set(seen), "all are seen", interval_s=0.005)
            replies = await services.subscribe(subjects.device("A", "reply"), max_msgs=1)
            await services.publish(subjects.command("A", "ping"), b"marco")
            async with asyncio.timeout(PATIENCE_S):
                command = await anext(aiter(device.messages))
            assert (str(command.topic), command.payload) == ("command/A/ping", b"marco")
            await device.publish("device/A/reply", b"polo", qos)
            assert (await replies.next_msg(PATIENCE_S)).data == b"polo"


async def test_mqtt_may_publish_nothing_else(server: NatsServer, services: Client) -> None:
    """At no QoS, retained or not. MQTT 3.1.1 cannot report a denial, so the test checks that nothing is delivered."""
    minted = issuer_for(server).mint("A", "mqtt")
    for qos in (0, 1):
        async with record_subjects(services) as seen, over_mqtt(server, minted.credential) as device:
            for subject in FOREIGN:
                await device.publish(subject.replace(".", "/"), b"{}", qos, retain=subject == "device.B.bye")
            await device.publish("device/A/hello", b"{}", qos)
            await eventually(lambda: OWN[0] in seen, "what is its own is seen", interval_s=0.005)
            assert seen == [OWN[0]]


async def test_mqtt_may_subscribe_to_nothing_else(server: NatsServer) -> None:
    """Every other subscription fails, at every QoS."""
    minted = issuer_for(server).mint("A", "mqtt")
    refused = 0x80
    topics = [subject.replace(".", "/").replace("*", "+").replace(">", "#") for subject in OVERHEARD]
    for qos in (0, 1, 2):
        for topic in topics:
            async with over_mqtt(server, minted.credential) as device:
                [answer] = await device.subscribe(topic, qos)
                assert getattr(answer, "value", answer) == refused, topic


async def test_mqtt_last_will(server: NatsServer, services: Client) -> None:
    """A device that loses its connection sends `bye` by its will; a will in another's name is not delivered."""
    minted = issuer_for(server).mint("A", "mqtt")
    async with record_subjects(services) as seen:
        for topic in ("device/B/bye", "device/A/bye"):
            await disconnect_abruptly(
                over_mqtt(server, minted.credential, will=aiomqtt.Will(topic, b"{}", 1))
            )
        await eventually(lambda: "device.A.bye" in seen, "the will is seen", interval_s=0.005)
        assert seen == ["device.A.bye"]


async def disconnect_abruptly(device: aiomqtt.Client) -> None:
    """Connect, then lose the connection without a DISCONNECT."""
    with pytest.raises(aiomqtt.MqttError):
        async with device:
            device._client._sock_close()
            await device.publish("device/A/hello")


async def test_a_session_of_another_device_is_useless(server: NatsServer, services: Client) -> None:
    """A client that takes over another's MQTT session does not receive its commands."""
    a, b = (issuer_for(server).mint(name, "mqtt").credential for name in "AB")

    def session(credential: DeviceCredential) -> aiomqtt.Client:
        return aiomqtt.Client(
            "127.0.0.1", server.port_named("mqtt"), username=credential.user, password=credential.secret,
            identifier="session", clean_session=False, timeout=PATIENCE_S,
        )  # fmt: skip

    async with session(b) as device:
        await device.subscribe("command/B/#")
    async with session(a) as thief:
        await thief.subscribe("command/A/#")
        await services.publish("command.B.ping", b"for B")
        await services.publish("command.A.ping", b"for A")
        async with asyncio.timeout(PATIENCE_S):
            assert (await anext(aiter(thief.messages))).payload == b"for A"


async def test_a_credential_is_for_one_transport(server: NatsServer, tmp_path: Path) -> None:
    """The NATS port refuses a bearer token, whoever signs; a NATS credential is not accepted as an MQTT password."""
    bearer = issuer_for(server).mint("A", "mqtt").credential
    assert await refused_nats(server, bearer.secret, KeyPair.generate(KeyKind.USER), tmp_path)
    with pytest.raises(NatsError):
        await nats.connect(
            server.url, user_jwt_cb=bearer.secret.encode, signature_cb=lambda _: b"", allow_reconnect=False,
            connect_timeout=PATIENCE_S, error_cb=ignore,
        )  # fmt: skip
    token, _ = parse_credentials(issuer_for(server).mint("A", "nats").credential.secret)
    assert await refused_mqtt(server, bearer.model_copy(update={"secret": token}))


async def test_a_stolen_token_without_its_key_is_refused(server: NatsServer, tmp_path: Path) -> None:
    """A NATS credential is a token and a key: the token alone, read in a log, is refused."""
    token, user = parse_credentials(issuer_for(server).mint("A", "nats").credential.secret)
    assert await refused_nats(server, token, KeyPair.generate(KeyKind.USER), tmp_path)
    assert not await refused_nats(server, token, user, tmp_path)


async def test_a_device_cannot_extend_its_permissions(server: NatsServer, tmp_path: Path) -> None:
    """A token that another key signed, even the user's own, or that claims permissions, is refused."""
    stranger = NatsCredentialIssuer(ensure_nats_keys(tmp_path / "other").deploy, server.url)
    token, user = parse_credentials(stranger.mint("A", "nats").credential.secret)
    assert await refused_nats(server, token, user, tmp_path)
    assert await refused_mqtt(server, stranger.mint("A", "mqtt").credential)
    with pytest.raises(AccountRejectedError, match="does not know the user"):
        await stranger.revoke([])
    keys = load_device_keys(server.keys.deploy)
    claims = device_claims(user.public_key, keys.account.account, "A", 1)
    assert await refused_nats(server, encode(claims, user), user, tmp_path)
    assert not await refused_nats(server, encode(claims, keys.device), user, tmp_path)
    for more in ({"pub": {"allow": [">"]}}, {"bearer_token": True}, {"allowed_connection_types": ["MQTT"]}):
        wide = claims | {"nats": claims["nats"] | more}
        assert await refused_nats(server, encode(wide, keys.device), user, tmp_path)


@pytest.mark.parametrize("device_id", ["", "a.b", "*", ">", "a b", "é", "a" * 41, "a\n", "{{name()}}"])
def test_only_device_ids_are_minted(server: NatsServer, device_id: str) -> None:
    """What is no subject token would let a device reach beyond its own subjects."""
    with pytest.raises(ValueError, match="no device id"):
        issuer_for(server).mint(device_id, "nats")
