r"""Escapes what a terminal, a picture, a log or a web page would act on instead of showing it.

For every program that shows text from outside: titles, file names, reasons, messages of devices. Escaped are control
characters (so also ANSI escape sequences), marks that change the reading order, line separators, lone surrogates (a
file name that is not UTF-8) and noncharacters. Everything else stays as it is, brackets, quotes and emoji included.
"""

import json
import re
from collections.abc import Callable
from typing import Any, Final

_LINE_FEED: Final = "\n"
_UNSAFE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)
_NAMED: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_FIRST_BYTE, _LAST_BYTE = 0xDC80, 0xDCFF
"""A byte of a file name that is not UTF-8, as Python's surrogateescape keeps it."""


def escape_controls(text: str, *, keep_lines: bool = False) -> str:
    r"""Return the text with `\x1b`, `\n`, `\u202e` and the like in place of what they stand for.

    With `keep_lines` line feeds stay. Escaping twice is escaping once.
    """
    return _UNSAFE.sub(lambda found: _escaped(found[0], keep_lines), text)


def to_safe_json(value: Any, *, default: Callable[[Any], Any] | None = None) -> str:
    r"""Return compact JSON on one line, readable (not ASCII only), with `\u202e` for what is unsafe to show."""
    document = json.dumps(value, ensure_ascii=False, default=default)
    # Such characters can stand inside strings only, where JSON has this escape.
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", document)


def _escaped(character: str, keep_lines: bool) -> str:
    if keep_lines and character == _LINE_FEED:
        return character
    if character in _NAMED:
        return _NAMED[character]
    code = ord(character)
    if _FIRST_BYTE <= code <= _LAST_BYTE:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"  # noqa: PLR2004  two hexadecimal digits
