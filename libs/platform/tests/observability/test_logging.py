"""Log lines as they are written."""

import io
import json
import logging

from hypothesis import given
from hypothesis import strategies as st

from k1_contracts.escaping import escape_controls
from k1_platform.observability.logging import JsonFormatter

texts = st.lists(st.text(max_size=5) | st.characters(categories=["Cc", "Cs"]), max_size=6).map("".join)


@given(texts)
def test_any_text_can_be_logged(text: str) -> None:
    """Also a name that is not UTF-8: one line of JSON that a terminal can show, in the message and in its fields."""
    stream = io.TextIOWrapper(raw := io.BytesIO(), encoding="utf-8")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter("test"))
    record = logging.makeLogRecord(
        {"msg": "file %s", "args": (text,), "reason": text, "name": "n", "levelname": "INFO"}
    )
    handler.handleError = _raise
    handler.emit(record)
    stream.flush()
    line = raw.getvalue().decode()
    assert line.count("\n") == 1
    assert escape_controls(line, keep_lines=True) == line
    entry = json.loads(line)
    assert [entry["message"], entry["reason"]] == json.loads(json.dumps([f"file {text}", text]))


def _raise(record: logging.LogRecord) -> None:
    raise  # noqa: PLE0704  called while the error is handled
