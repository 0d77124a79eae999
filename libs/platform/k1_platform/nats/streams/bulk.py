"""Publishes and acknowledges many messages with one write, for services that handle thousands a second.

nats-py takes some ten microseconds for each message that it publishes. It has no call for several, so this module
writes the commands of the NATS protocol itself.
"""

from collections.abc import Iterable

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import ConnectionClosedError, OutboundBufferLimitError


async def publish_all(client: Client, messages: Iterable[tuple[str, bytes]]) -> None:
    """Publish messages, each a subject and a body, like `Client.publish`: nothing is confirmed.

    Raises:
        nats.errors.Error: as `Client.publish`.
    """
    await _send(
        client,
        b"".join(b"PUB %b %d\r\n%b\r\n" % (subject.encode(), len(body), body) for subject, body in messages),
    )


async def acknowledge(client: Client, replies: Iterable[str]) -> None:
    """Acknowledge delivered messages by their reply subjects; once more does no harm.

    Raises:
        nats.errors.Error: as `Client.publish`; the messages will be delivered again.
    """
    await publish_all(client, ((reply, Msg.Ack.Ack) for reply in replies))


async def reject(client: Client, replies: Iterable[str]) -> None:
    """Have messages delivered again at once, also to another process; not those that are acknowledged.

    Raises:
        nats.errors.Error: as `Client.publish`; the messages will be delivered again later.
    """
    await publish_all(client, ((reply, Msg.Ack.Nak) for reply in replies))


async def _send(client: Client, commands: bytes) -> None:
    if client.is_closed:
        raise ConnectionClosedError
    if not commands:
        return
    # While the connection is lost, commands wait in a buffer, which must not grow without a limit.
    waiting = client._pending_data_size + len(commands)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    if not client.is_connected and waiting > client._max_pending_size:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        raise OutboundBufferLimitError
    await client._send_command(commands)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    await client._flush_pending()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
