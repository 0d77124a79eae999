"""The items of the live feed of a track: the bounded buffer, and their form as events."""

import json

from hypothesis import given
from hypothesis import strategies as st

from k1_contracts.messages.telemetry import LiveEvent
from k1_gateway.live.track_feed import FeedBuffer, FeedItem, parse_item
from services.gateway.tests import samples


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 10))
def test_the_buffer_is_bounded_and_keeps_the_newest(are_events: list[bool], most: int) -> None:
    """It has at most `most` items, in order; each dropped item is counted; events are dropped only if all are events."""
    buffer = FeedBuffer(most)
    items = [
        FeedItem(number, {"timestamp": "", **({"event": "alarm"} if is_event else {})})
        for number, is_event in enumerate(are_events)
    ]
    for item in items:
        buffer.put(item)
    kept, dropped, missed = buffer.take()
    assert len(kept) == min(most, len(items))
    assert dropped == len(items) - len(kept)
    assert kept == sorted(kept, key=lambda item: item.sequence)
    assert kept[-1:] == items[-1:]
    assert missed is None
    lost_events = sum(are_events) - sum(item.is_event for item in kept)
    assert not lost_events or all(item.is_event for item in kept[:-1])
    assert buffer.take() == ([], 0, None)


@given(st.binary(max_size=200))
def test_any_message_is_one_event_or_none(data: bytes) -> None:
    """No line break gets into a line, so a message cannot forge an event."""
    item = parse_item(7, data)
    assert item is None or item.encode().count(b"\n\n") == 1


@given(st.text(), st.text())
def test_no_text_breaks_out_of_its_event(name: str, reason: str) -> None:
    """Names and details are one line each, whatever they hold."""
    event = LiveEvent(event=name, timestamp=samples.NOW, details={"reason": reason})
    try:
        data = event.to_json()
    except ValueError:  # A lone surrogate is no text that can be sent.
        return
    item = parse_item(1, data)
    assert item is not None
    lines = item.encode().decode().split("\n")
    assert [line.partition(":")[0] for line in lines] == ["id", "event", "data", "", ""]
    assert json.loads(lines[2].removeprefix("data: "))["details"] == {"reason": reason}
