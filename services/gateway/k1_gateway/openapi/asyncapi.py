"""Makes the AsyncAPI document that the gateway serves: that of the bus, with the channel of the WebSocket."""

import json
from importlib.resources import files
from typing import Any, Final

from pydantic import BaseModel

from k1_contracts.documents.json_schema import COMPONENT_REF, component_schemas
from k1_gateway.http.endpoint import BASE_PATH
from k1_gateway.live.feed_models import FeedEventModel
from k1_gateway.live.websocket.messages import (
    Ack,
    ErrorMessage,
    Heartbeat,
    Hello,
    Ping,
    SaveBeats,
    Subscribe,
    Unsubscribe,
)

Json = dict[str, Any]
_CHANNEL: Final = "websocket"
_SENT: Final[tuple[type[BaseModel], ...]] = (Hello, Heartbeat, Ack, ErrorMessage, FeedEventModel)
_RECEIVED: Final[tuple[type[BaseModel], ...]] = (Subscribe, Unsubscribe, Ping, SaveBeats)


def make_asyncapi() -> Json:
    """Return the document."""
    document: Json = json.loads((files("k1_contracts") / "generated" / "asyncapi.json").read_bytes())
    document["channels"][_CHANNEL] = {
        "address": f"{BASE_PATH}/ws",
        "description": "The live feed over a WebSocket; subprotocols k1.json and k1.msgpack. docs/live.md explains it.",
        "bindings": {"ws": {"method": "GET"}},
        "messages": {model.__name__: _message(model) for model in (*_SENT, *_RECEIVED)},
    }
    document["operations"] |= {
        f"gateway-send-{_CHANNEL}": _operation("send", _SENT),
        f"gateway-receive-{_CHANNEL}": _operation("receive", _RECEIVED),
    }
    document["components"]["schemas"] = (
        component_schemas((*_SENT, *_RECEIVED)) | document["components"]["schemas"]
    )
    return document


def _message(model: type[BaseModel]) -> Json:
    return {
        "name": model.__name__,
        "summary": (model.__doc__ or "").partition("\n")[0],
        "payload": {"$ref": COMPONENT_REF.format(model=model.__name__)},
    }


def _operation(action: str, models: tuple[type[BaseModel], ...]) -> Json:
    channel = f"#/channels/{_CHANNEL}"
    return {
        "action": action,
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{model.__name__}"} for model in models],
    }
