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


async def acknowledge(client: Client, messages: Iterable[Msg]) -> None:
    """Acknowledge the messages that are not acknowledged yet.

    Raises:
        nats.errors.Error: as `Client.publish`; the messages will be delivered again.
    """
    waiting = [message for message in messages if not message.is_acked]
    await publish_all(client, ((message.reply, b"") for message in waiting))
    for message in waiting:
        message._ackd = True  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  as `Msg.ack` does


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
