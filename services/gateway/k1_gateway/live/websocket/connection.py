"""`GET /ws`: the live feed over a WebSocket, both ways."""

import asyncio
import math
import time
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web
from pydantic import ValidationError

from k1_contracts.base import rfc3339
from k1_gateway.errors import ProblemError
from k1_gateway.feed.event import FeedEvent
from k1_gateway.http.context import GatewayContext
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.request_parsing import build_query, describe_faults
from k1_gateway.limits.gcra import Rate, take
from k1_gateway.live.feed_notices import closing_notice, dropped_notice, gap_notice
from k1_gateway.live.feed_requests import (
    HEARTBEAT_S,
    Heartbeat,
    WatchFeed,
    abort_if_blocked,
    is_blocked,
    run_until_end,
    spread,
)
from k1_gateway.live.websocket.actions import ACTIONS, Session
from k1_gateway.live.websocket.codec import MSGPACK, PROTOCOLS, Codec, UnreadableError, WrongKindError
from k1_platform.nats.queries.rpc import QueryError

MAX_MESSAGE_BYTES: Final = 1024 * 1024
MESSAGE_RATE: Final = Rate(per_minute=600, burst=200)
"""What a client may send on one connection; `save_beats` also takes from the allowance of edits."""
MAX_BAD_MESSAGES: Final = 20
"""Messages without sense, or above the rate, after which a connection is ended."""
_PING_S: Final = 30.0
"""The longest time between two pings. aiohttp sends those of all connections of a second at once."""
_CLOSE_TIMEOUT_S: Final = 2.0
_UPGRADE: Final = {"Upgrade": "websocket", "Connection": "Upgrade"}
CLOSE_CODES: Final = {
    "too_slow": 4008,
    "gateway_stops": WSCloseCode.GOING_AWAY,
    "feed_restarted": WSCloseCode.SERVICE_RESTART,
    "wrong_kind": WSCloseCode.UNSUPPORTED_DATA,
    "too_many_bad_messages": WSCloseCode.POLICY_VIOLATION,
}
"""Reason -> close code; other reasons, as the end of a session, have 4001."""
_OTHER_CLOSE_CODE: Final = 4001


async def serve_websocket(
    context: GatewayContext, request: web.Request, endpoint: Endpoint
) -> web.StreamResponse:
    """Serve one connection until it ends. Parameters of the URL subscribe at once; without them the client does."""
    query = build_query(request, WatchFeed, params=endpoint.query_params)
    socket = web.WebSocketResponse(
        protocols=PROTOCOLS,
        max_msg_size=MAX_MESSAGE_BYTES,
        heartbeat=_PING_S * spread(),
        timeout=_CLOSE_TIMEOUT_S,
        compress=False,  # a window for each connection would cost ten times the rest
    )
    if not socket.can_prepare(request):
        detail = "This is a WebSocket; open it with a WebSocket client, or use /events/stream."
        raise ProblemError("upgrade_required", HTTPStatus.UPGRADE_REQUIRED, detail, headers=_UPGRADE)
    with context.feed.client("websocket") as client:
        session = Session(context, client, request.remote)
        if query.topics or query.last_event_id:
            await session.start(query.wanted, query.last_event_id)
        await socket.prepare(request)
        connection = _Connection(session, socket, request)
        await run_until_end(request, client, connection.read(), connection.write())
        await connection.close(request)
    return socket


class _Connection:
    """Reads what the client sends and writes what it gets, at the same time."""

    def __init__(self, session: Session, socket: web.WebSocketResponse, request: web.Request) -> None:
        self._session = session
        self._socket = socket
        self._request = request
        self._codec = Codec(is_binary=socket.ws_protocol == MSGPACK)
        self._bad_messages = 0
        self._full_at_us = 0

    async def close(self, request: web.Request) -> None:
        """End the connection with the code of its reason. One that reads nothing is cut."""
        reason = self._session.client.close_reason
        if reason is not None and not is_blocked(request):
            code = CLOSE_CODES.get(reason, _OTHER_CLOSE_CODE)
            with suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                    await self._send(closing_notice(reason))
                    await self._socket.close(code=code, message=reason.encode())
        abort_if_blocked(request)

    # Writing

    async def write(self) -> None:
        """Send what comes; raise ConnectionError if the connection breaks."""
        session = self._session
        feed, client = session.context.feed, session.client
        await self._send(
            {
                "type": "hello",
                "id": str(client.queue.position if session.is_started else feed.position),
                "at": _now(),
                "topics": sorted(client.topics),
                "heartbeat_s": HEARTBEAT_S,
            }
        )
        heartbeat = Heartbeat(client.queue.changed)
        try:
            while True:
                client.send_now = self._send_now
                await client.queue.changed.wait()
                client.send_now = None
                await self._write_batch()
                if heartbeat.take():
                    await self._write_heartbeat()
        finally:
            client.send_now = None
            heartbeat.stop()

    def _send_now(self, events: list[FeedEvent]) -> bool:
        """Write the frames of events to a connection that has sent everything before.

        The socket's own way would wake a task for each connection. Its frames are written whole, so these come between
        them; a compressed one might still be in the making, but no frame is compressed here.
        """
        transport, queue = self._request.transport, self._session.client.queue
        if transport is None or self._socket.closed or is_blocked(self._request) or transport.is_closing():
            return False
        transport.write(b"".join([self._codec.frame_event(event, queue.pass_by(event)) for event in events]))
        return True

    async def _write_heartbeat(self) -> None:
        session, feed = self._session, self._session.context.feed
        position = feed.idle_position(session.client) if session.is_started else feed.position
        if position is not None:
            await self._send({"type": "heartbeat", "id": str(position), "at": _now()})

    async def _write_batch(self) -> None:
        batch = self._session.client.queue.take()
        for gap in batch.gaps:
            await self._send(gap_notice(gap))
        if batch.dropped:
            await self._send(dropped_notice(batch.dropped))
        for position, event in batch.events:
            await self._send_frame(self._codec.encode_event(event, position))

    async def _send(self, message: dict[str, Any]) -> None:
        await self._send_frame(self._codec.encode(message))

    async def _send_frame(self, frame: bytes) -> None:
        kind = WSMsgType.BINARY if self._codec.is_binary else WSMsgType.TEXT
        await self._socket.send_frame(frame, kind)

    # Reading

    async def read(self) -> None:
        """Do what the client asks for, until it goes."""
        async for message in self._socket:
            if message.type not in {WSMsgType.TEXT, WSMsgType.BINARY}:
                return
            if not await self._take(message):
                return
            if self._bad_messages > MAX_BAD_MESSAGES:
                self._session.client.close("too_many_bad_messages")
                return

    async def _take(self, message: WSMessage) -> bool:
        """Do what a message asks for; return False if the client speaks another protocol."""
        grant = take(MESSAGE_RATE, self._full_at_us, time.monotonic_ns() // 1000, 1)
        self._full_at_us = grant.full_at_us
        if not grant.count:
            wait_s = math.ceil(grant.wait_s)
            await self._send_error({}, "rate_limited", f"Too many messages; send the next in {wait_s} s.")
            return True
        try:
            given = self._codec.decode(message)
        except WrongKindError:
            self._session.client.close("wrong_kind")
            return False
        except UnreadableError as error:
            await self._send_error({}, "malformed_message", str(error))
        else:
            await self._act(given)
        return True

    async def _act(self, given: dict[str, Any]) -> None:
        action = ACTIONS.get(str(given.get("action")))
        if action is None:
            await self._send_error(given, "unknown_action", f"`action` is one of {', '.join(ACTIONS)}.")
            return
        try:
            message = action.model.model_validate(given, strict=True)
        except ValidationError as error:
            await self._send_error(given, "invalid_message", describe_faults(error))
            return
        try:
            data = await action.run(self._session, message)
        except (ProblemError, QueryError) as error:
            await self._send_error(given, error.code, str(error), is_bad=False)
        else:
            await self._send(_answer("ack", given) | {"data": data})

    async def _send_error(
        self, given: dict[str, Any], code: str, detail: str, *, is_bad: bool = True
    ) -> None:
        self._bad_messages += is_bad
        await self._send(_answer("error", given) | {"code": code, "detail": detail})


def _answer(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the start of an answer; what is no action or reference is not sent back."""
    answer: dict[str, Any] = {"type": kind}
    for name in ("action", "ref"):
        if isinstance(given.get(name), str | int):
            answer[name] = given[name]
    return answer


def _now() -> str:
    return rfc3339(datetime.now(UTC))
