"""Plays tracker modules with libopenmpt, and notes when each row of their patterns begins."""

import ctypes
from ctypes.util import find_library
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ: Final = 44_100
_STEP: Final = 32
"""Samples that are read at once: the time of a row is known within .4 ms."""
_FUNCTIONS: Final[dict[str, tuple[Any, list[Any]]]] = {
    "create_from_memory2": (ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_size_t, *[ctypes.c_void_p] * 7]),
    "destroy": (None, [ctypes.c_void_p]),
    "get_duration_seconds": (ctypes.c_double, [ctypes.c_void_p]),
    "read_interleaved_float_stereo": (
        ctypes.c_size_t,
        [ctypes.c_void_p, ctypes.c_int32, ctypes.c_size_t, ctypes.c_void_p],
    ),
    "get_current_order": (ctypes.c_int32, [ctypes.c_void_p]),
    "get_current_row": (ctypes.c_int32, [ctypes.c_void_p]),
    "get_current_speed": (ctypes.c_int32, [ctypes.c_void_p]),
}


class OpenmptMissingError(RuntimeError):
    """The library is not installed."""


class NoModuleError(ValueError):
    """The content is no module that the library can play."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a pattern, as it is played."""

    second: float
    order: int
    """The place of the pattern in the piece."""
    number: int
    """In the pattern, from 0 on."""
    ticks: int
    """How long it lasts: 24 ticks are a beat of the module's tempo."""


@dataclass(frozen=True, slots=True)
class PlayedModule:
    """The sound of a module and its rows."""

    audio: NDArray[np.float32]
    """(n, 2) samples at SAMPLE_RATE_HZ."""
    rows: list[Row]


class Player:
    """Plays modules.

    Raises:
        OpenmptMissingError: libopenmpt is not installed.
    """

    def __init__(self) -> None:
        path = find_library("openmpt")
        if path is None:
            raise OpenmptMissingError("libopenmpt is not installed (Debian: apt-get install libopenmpt0)")
        library = ctypes.CDLL(path)
        self._call: dict[str, Any] = {}
        for name, (result, arguments) in _FUNCTIONS.items():
            function = library[f"openmpt_module_{name}"]
            function.restype, function.argtypes = result, arguments
            self._call[name] = function

    def duration_s(self, content: bytes) -> float:
        """Return how long a module lasts.

        Raises:
            NoModuleError: the content cannot be played.
        """
        module = self._open(content)
        try:
            return float(self._call["get_duration_seconds"](module))
        finally:
            self._call["destroy"](module)

    def play(self, content: bytes, most_s: float) -> PlayedModule:
        """Return the beginning of a module's sound, and its rows.

        Raises:
            NoModuleError: the content cannot be played.
        """
        module = self._open(content)
        try:
            return self._play(module, int(most_s * SAMPLE_RATE_HZ))
        finally:
            self._call["destroy"](module)

    def _open(self, content: bytes) -> int:
        module = self._call["create_from_memory2"](content, len(content), *[None] * 7)
        if not module:
            raise NoModuleError("it is no module, or it is damaged")
        return int(module)

    def _play(self, module: int, most: int) -> PlayedModule:
        read, order, row, ticks = (
            self._call[name]
            for name in (
                "read_interleaved_float_stereo",
                "get_current_order",
                "get_current_row",
                "get_current_speed",
            )
        )
        block = np.empty((_STEP, 2), np.float32)
        blocks: list[NDArray[np.float32]] = []
        rows: list[Row] = []
        samples = 0
        while samples < most and (count := read(module, SAMPLE_RATE_HZ, _STEP, block.ctypes.data)):
            blocks.append(block[:count].copy())
            here = (order(module), row(module))
            if not rows or here != (rows[-1].order, rows[-1].number):
                rows.append(Row((samples + count / 2) / SAMPLE_RATE_HZ, *here, ticks(module)))
            samples += count
        return PlayedModule(np.concatenate(blocks) if blocks else np.empty((0, 2), np.float32), rows)
