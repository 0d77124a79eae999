"""Passes whole messages to handlers: the contract model parses the body, not FastStream by its content type."""

from typing import Any


async def whole_message(message: Any) -> Any:
    """Return the message itself; a decoder of FastStream, whose result is the argument of the handler.

    A parameter of the type `NatsMessage` would be injected instead, for which FastStream starts a task group and a thread
    for each message.
    """
    return message
