"""Injects faults into the bytes of a transfer."""

import asyncio

from k1_simulator.faults.fault_injector import FaultInjector
from k1_simulator.faults.models import Corrupt, DropAt

_FLIPPED = 0xFF


class FaultyByteFilter:
    """Passes bytes at a limited rate and drops or changes them by the faults of the device."""

    def __init__(self, faults: FaultInjector, bytes_per_s: float | None) -> None:
        self._faults = faults
        self._bytes_per_s = bytes_per_s

    async def __call__(self, offset: int, data: bytes) -> tuple[bytes, bool]:
        """Return the bytes that arrive, and whether the connection breaks after them."""
        if self._bytes_per_s:
            await asyncio.sleep(len(data) / self._bytes_per_s)

        def here(fault: DropAt | Corrupt) -> bool:
            return offset <= fault.byte < offset + len(data)

        if drop := self._faults.take(DropAt, here):
            return data[: drop.byte - offset], True
        if corrupt := self._faults.take(Corrupt, here):
            index = corrupt.byte - offset
            data = data[:index] + bytes([data[index] ^ _FLIPPED]) + data[index + 1 :]
        return data, False
