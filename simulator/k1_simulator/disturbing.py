"""Faults on the way of a bundle's bytes."""

import asyncio

from k1_simulator.fault_box import FaultBox
from k1_simulator.faults import Corrupt, DropAt

_FLIPPED = 0xFF


class DisturbedTap:
    """Lets bytes pass at a rate, changed or not at all, as the faults of the device want it."""

    def __init__(self, faults: FaultBox, bytes_per_s: float | None) -> None:
        self._faults = faults
        self._bytes_per_s = bytes_per_s

    async def __call__(self, offset: int, data: bytes) -> tuple[bytes, bool]:
        """The bytes that arrive, and whether the connection broke off after them."""
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
