"""Monitors the connections of devices by the events of the system account, and publishes alarms about credentials.

The server announces every connection and its end. What it announced while this process was disconnected is read from
its list of connections at intervals. Several processes of deploy see the same and publish the same events; the stream
stores each event once.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from k1_contracts.messages.deploy.device_link import DEVICE_ID
from k1_contracts.messages.telemetry import DEVICE_ALARM, DeviceAlarm
from k1_deploy.devices.access.connection_table import MOST_CONNECTIONS, Connection, ConnectionTable
from k1_platform.auth.device_credentials import DeviceKeys, mqtt_client_id
from k1_platform.auth.jwt import NatsTokenError, decode
from k1_platform.errors import TransientError
from k1_platform.nats.bus.client import Bus
from k1_platform.nats.bus.connection import connect_options
from k1_platform.nats.device_errors import DeviceErrors, MessageError
from k1_platform.nats.streams.publisher import publish
from k1_platform.settings import NatsSettings

LOOK_EVERY_S: Final = 1.0
_LIST_EVERY_S: Final = 60.0
_AGAIN_AFTER_S: Final = 5.0
_PAGE: Final = 1024
_TIMEOUT_S: Final = 2.0
_OTHER_SERVERS_S: Final = 0.3
_TAKEN_OVER: Final = "Duplicate Client ID"
_log = logging.getLogger(__name__)


class ConnectionMonitor:
    """Keeps the table of connections up to date while `run` runs."""

    def __init__(self, url: str, keys: DeviceKeys, bus: Bus, errors: DeviceErrors) -> None:
        """Use `keys`, which hold the credentials of the system account; alarms are published over `bus`."""
        self.connections = ConnectionTable()
        self._settings = NatsSettings(url=url, creds=keys.account_keeper)
        self._account = keys.account
        self._bus, self._errors = bus, errors
        self._unpublished: list[DeviceAlarm] = []
        self._listed_at_s = float("-inf")

    def alarms(self, device_id: str) -> list[DeviceAlarm]:
        """Return the alarms about the credential of a device."""
        alarm = self.connections.alarm_of(device_id)
        return [alarm] if alarm else []

    async def run(self) -> None:
        """Monitor the connections until cancelled; reconnect when the server is away."""
        while True:
            try:
                async with self._connected() as client:
                    await self._watch(client)
            except Exception as error:  # noqa: BLE001  deployments must continue whatever the server responds
                _log.warning("connections of devices are not monitored", extra={"reason": repr(error)})
                await asyncio.sleep(_AGAIN_AFTER_S)

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[Client]:
        client = await nats.connect(
            **connect_options(self._settings),
            name="k1-deploy-connections",
            max_reconnect_attempts=-1,
            reconnected_cb=self._request_listing,
            error_cb=_log_error,
        )
        try:
            yield client
        finally:
            await client.close()

    async def _request_listing(self) -> None:
        self._listed_at_s = float("-inf")

    async def _watch(self, client: Client) -> None:
        account = self._account.account
        await client.subscribe(f"$SYS.ACCOUNT.{account}.CONNECT", cb=self._connection_began)
        await client.subscribe(f"$SYS.ACCOUNT.{account}.DISCONNECT", cb=self._connection_ended)
        loop = asyncio.get_running_loop()
        await self._request_listing()
        while True:
            if loop.time() - self._listed_at_s > _LIST_EVERY_S:
                self.connections.replace_all(await self._list(client))
                self._listed_at_s = loop.time()
            await self._check_connections(client)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _check_connections(self, client: Client) -> None:
        for connections in self.connections.shared_credentials():
            for surplus in connections[:-MOST_CONNECTIONS]:
                await _request(client, surplus.server_id, "KICK", {"cid": surplus.number})
                _log.warning("surplus connection closed", extra={"device_id": surplus.device_id})
            kept = connections[-MOST_CONNECTIONS:]
            self.connections.record_message_counts(kept, await _messages(client, kept), datetime.now(UTC))
        self._unpublished += self.connections.update_alarms(datetime.now(UTC))
        while self._unpublished:
            await self._publish(self._unpublished[0])
            del self._unpublished[0]

    async def _publish(self, alarm: DeviceAlarm) -> None:
        try:
            await publish(self._bus.broker, DEVICE_ALARM, alarm, source="deploy")
        except TransientError as error:
            raise TimeoutError(str(error)) from error
        if alarm.state == "raised":
            _log.warning("credential alarm", extra={"device_id": alarm.device_id, "reason": alarm.reason})
            code = "client_id" if alarm.level == "amber" else "credential_shared"
            what = (
                "Use the client_id of the credential file."
                if code == "client_id"
                else "Is this device twice?"
            )
            problem = MessageError(code, f"{alarm.reason}. {what}")
            await self._errors.report(alarm.device_id, "the connection", lambda: problem)

    async def _connection_began(self, message: Msg) -> None:
        connection = self._announced_connection(json.loads(message.data))
        if connection is not None:
            self.connections.connected(connection)

    async def _connection_ended(self, message: Msg) -> None:
        event = json.loads(message.data)
        key = event["server"]["id"], event["client"]["id"]
        at = datetime.fromisoformat(event["timestamp"])
        self.connections.disconnected(key, at, taken_over=event.get("reason") == _TAKEN_OVER)

    def _announced_connection(self, event: dict[str, Any]) -> Connection | None:
        client = event["client"]
        known = {"cid": client["id"], "ip": client.get("host"), "mqtt_client": client.get("client_id")}
        return self._connection(event["server"]["id"], client | known)

    def _connection(self, server_id: str, info: dict[str, Any]) -> Connection | None:
        """Return the connection of a device; None for one of a service."""
        token = info.get("jwt", "")
        try:
            claims = decode(token)
        except NatsTokenError:
            return None
        is_mqtt = claims["iss"] == self._account.device_mqtt
        if not is_mqtt and claims["iss"] != self._account.device:
            return None
        if not DEVICE_ID.fullmatch(claims["name"]):
            return None
        return Connection(
            server_id=server_id,
            number=info["cid"],
            device_id=claims["name"],
            public_key=claims["sub"],
            host=info.get("ip") or "an unknown address",
            started_at=datetime.fromisoformat(info["start"]),
            client_id=info.get("mqtt_client") if is_mqtt else None,
            expected_client_id=mqtt_client_id(token) if is_mqtt else None,
        )

    async def _list(self, client: Client) -> list[Connection]:
        """Return all connections of devices, on all servers, page by page."""
        found: list[Connection] = []
        first = await _request_all(client, "$SYS.REQ.SERVER.PING.CONNZ", self._page(0))
        for response in first:
            server_id, page = response["server"]["id"], response["data"]
            while True:
                listed = page.get("connections") or []
                found += [c for info in listed if (c := self._connection(server_id, info)) is not None]
                offset = page["offset"] + len(listed)
                if not listed or offset >= page["total"]:
                    break
                page = (await _request(client, server_id, "CONNZ", self._page(offset)))["data"]
        return found

    def _page(self, offset: int) -> dict[str, Any]:
        return {"auth": True, "acc": self._account.account, "limit": _PAGE, "offset": offset}


async def _messages(client: Client, connections: list[Connection]) -> dict[tuple[str, int], int]:
    """Return how many messages arrived on each connection so far, without those that have ended."""
    counts: dict[tuple[str, int], int] = {}
    for connection in connections:
        response = await _request(client, connection.server_id, "CONNZ", {"cid": connection.number})
        for info in response["data"].get("connections") or []:
            counts[connection.key] = info["in_msgs"]
    return counts


async def _request(client: Client, server_id: str, what: str, body: dict[str, Any]) -> dict[str, Any]:
    subject = f"$SYS.REQ.SERVER.{server_id}.{what}"
    response = await client.request(subject, json.dumps(body).encode(), timeout=_TIMEOUT_S)
    return json.loads(response.data)


async def _request_all(client: Client, subject: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the responses of all servers that arrive soon after the first."""
    inbox = client.new_inbox()
    subscription = await client.subscribe(inbox)
    responses: list[dict[str, Any]] = []
    try:
        await client.publish(subject, json.dumps(body).encode(), reply=inbox)
        responses.append(json.loads((await subscription.next_msg(_TIMEOUT_S)).data))
        while True:
            responses.append(json.loads((await subscription.next_msg(_OTHER_SERVERS_S)).data))
    except NatsError:
        if not responses:
            raise
        return responses
    finally:
        await subscription.unsubscribe()


async def _log_error(error: Exception) -> None:
    _log.warning("NATS, system account: %s", repr(error))
