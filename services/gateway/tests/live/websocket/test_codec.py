"""Reading and writing messages of the WebSocket, without a server."""

from typing import Any

import aiohttp
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_gateway.live.websocket.codec import Codec, UnreadableError, WrongKindError, frame_header


@given(st.binary(max_size=60), st.booleans(), st.booleans())
def test_any_message_is_read_or_refused(data: bytes, as_text: bool, is_binary: bool) -> None:
    """Nothing else is raised, whatever a client sends."""
    codec = Codec(is_binary=is_binary)
    kind = aiohttp.WSMsgType.TEXT if as_text else aiohttp.WSMsgType.BINARY
    try:
        found = codec.decode(aiohttp.WSMessage(kind, data.decode("latin-1") if as_text else data, None))
    except WrongKindError:
        assert as_text == is_binary
    except UnreadableError:
        pass
    else:
        assert isinstance(found, dict)


@pytest.mark.parametrize(
    ("length", "header"),
    [
        (0, "8100"),
        (5, "8105"),
        (125, "817d"),
        (126, "817e007e"),
        (256, "817e0100"),
        (65_535, "817effff"),
        (65_536, "817f0000000000010000"),
    ],
)
def test_frames_are_those_of_the_standard(length: int, header: str) -> None:
    """Three forms of the length; 5, 256 and 65,536 bytes are the examples of RFC 6455, section 5.7."""
    assert frame_header(length, is_binary=False).hex() == header
    assert frame_header(length, is_binary=True).hex() == header.replace("81", "82", 1)


def test_only_beats_may_be_binary() -> None:
    codec = Codec(is_binary=True)

    def decode(value: dict[Any, Any]) -> dict[str, Any]:
        return codec.decode(aiohttp.WSMessage(aiohttp.WSMsgType.BINARY, msgspec.msgpack.encode(value), None))

    assert decode({"beats_ms": bytes.fromhex("000000000000f03f")}) == {"beats_ms": [1.0]}
    for wrong in ({"beats_ms": b"1234567"}, {"action": b"ping"}, {1: 2}):
        with pytest.raises(UnreadableError):
            decode(wrong)
