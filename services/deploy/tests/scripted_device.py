"""A small scripted device: a function of the test decides its replies."""

from collections.abc import Awaitable, Callable
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg

from k1_contracts import subjects
from k1_contracts.messages.deploy.device_link import (
    COMMANDS,
    DeviceCommand,
    DeviceError,
    DeviceHello,
    DeviceReply,
    ReplyStatus,
    RunningBundle,
    Verb,
)
from tests.support.bus import flush

Script = Callable[["ScriptedDevice", Verb, DeviceCommand], Awaitable[None]]


def hello(device_id: str, **changes: Any) -> DeviceHello:
    """Return the hello of a healthy device without bundles."""
    fields: dict[str, Any] = {
        "id": device_id,
        "model": "K1",
        "firmware": "2.1.0",
        "hardware": "esp32-s3",
        "node_types": ["Led"],
        "flash_free_bytes": 4_000_000,
    }
    return DeviceHello.model_validate(fields | changes)


def bundle(number: int) -> RunningBundle:
    """Return a bundle with this number."""
    return RunningBundle(bundle_sha256=f"{number:064x}", track_id=f"trk_{number:026d}", version=number)


class ScriptedDevice:
    """Handles the commands of one device id."""

    def __init__(self, client: Client, device_id: str, script: Script) -> None:
        self.id = device_id
        self.commands: list[tuple[Verb, DeviceCommand]] = []
        self.errors: list[DeviceError] = []
        self._client = client
        self._script = script
        self._inbox = ""

    async def listen(self) -> "ScriptedDevice":
        """Subscribe; after this the server knows the device."""
        await self._client.subscribe(subjects.command(self.id, ">"), cb=self._handle_command)
        await flush(self._client)
        return self

    async def _handle_command(self, message: Msg) -> None:
        verb: Any = message.subject.split(".")[2]
        if verb == subjects.DEVICE_ERROR_VERB:
            self.errors.append(DeviceError.model_validate_json(message.data))
            return
        command = COMMANDS[verb].model_validate_json(message.data)
        self.commands.append((verb, command))
        self._inbox = message.reply
        await self._script(self, verb, command)

    def reply(self, command: DeviceCommand, verb: Verb, status: ReplyStatus, **fields: Any) -> DeviceReply:
        """Return a reply of this device."""
        return DeviceReply(
            command_id=command.command_id, device_id=self.id, verb=verb, status=status, **fields
        )

    async def first(self, reply: DeviceReply | bytes) -> None:
        """Send a reply to the reply subject of the last command, as a device over NATS does once."""
        await self._client.publish(self._inbox, reply if isinstance(reply, bytes) else reply.to_json())

    async def later(self, reply: DeviceReply | bytes, *, as_id: str | None = None) -> None:
        """Send a reply to `device.<id>.reply`."""
        data = reply if isinstance(reply, bytes) else reply.to_json()
        await self._client.publish(subjects.device(as_id or self.id, "reply"), data)
