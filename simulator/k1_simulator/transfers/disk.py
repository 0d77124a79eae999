"""Stores the flash of one device in a folder: its memory, its bundles and a partial bundle.

    state.json      the memory; replaced atomically, so a crash leaves the old or the new one
    <sha256>.k1b    complete bundles
    <sha256>.part   the received part of a bundle

No data is forced to the disk: written data outlives the process, and a simulated device has no real power cut.
"""

import hashlib
import logging
from pathlib import Path

from pydantic import ValidationError

from k1_simulator.state_machine.memory import HeldBundle, Memory

_log = logging.getLogger(__name__)


class DeviceDisk:
    """One folder, used by one process at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._saved: Memory | None = None

    def load(self, fresh: Memory) -> Memory:
        """Return the memory that was saved last, else `fresh`; leave out damaged bundles."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        memory = _whole(self._read(fresh), self)
        self.save(memory)
        return memory

    def save(self, memory: Memory) -> None:
        """Replace the saved memory, then delete the files that it does not name.

        Raises:
            OSError: it could not be written; the previous memory is still saved.
        """
        if memory == self._saved:
            return
        draft = self.folder / "state.new"
        draft.write_bytes(memory.to_json())
        draft.replace(self.folder / "state.json")
        before, self._saved = self._saved, memory
        if before is None or _files(before) != _files(memory):
            self._sweep(_files(memory))

    def partial(self, sha256: str) -> Path:
        """Return the file with the received part of a bundle."""
        return self.folder / f"{sha256}.part"

    def keep_partial(self, sha256: str) -> None:
        """Turn a complete, verified part into a bundle. Save the memory that names it next."""
        self.partial(sha256).replace(self._bundle(sha256))

    def add_bundle(self, data: bytes) -> HeldBundle:
        """Store a bundle that did not come over the link."""
        sha256 = hashlib.sha256(data).hexdigest()
        self.partial(sha256).write_bytes(data)
        self.keep_partial(sha256)
        return HeldBundle(bundle_sha256=sha256, size=len(data))

    def holds(self, bundle: HeldBundle) -> bool:
        """Return whether the file exists and has the bytes of this bundle."""
        try:
            data = self._bundle(bundle.bundle_sha256).read_bytes()
        except FileNotFoundError:
            return False
        return hashlib.sha256(data).hexdigest() == bundle.bundle_sha256

    def _bundle(self, sha256: str) -> Path:
        return self.folder / f"{sha256}.k1b"

    def _read(self, fresh: Memory) -> Memory:
        file = self.folder / "state.json"
        try:
            return Memory.model_validate_json(file.read_bytes())
        except FileNotFoundError:
            return fresh
        except ValidationError as error:
            _log.warning(
                "the device starts with a new state, because its state cannot be read",
                extra={"file": str(file)},
                exc_info=error,
            )
            return fresh

    def _sweep(self, wanted: frozenset[str]) -> None:
        for file in self.folder.iterdir():
            if file.suffix in {".k1b", ".part"} and file.name not in wanted:
                file.unlink()


def _files(memory: Memory) -> frozenset[str]:
    whole = (f"{bundle.bundle_sha256}.k1b" for bundle in memory.held)
    return frozenset(whole) | ({f"{memory.partial}.part"} if memory.partial else frozenset[str]())


def _whole(memory: Memory, disk: DeviceDisk) -> Memory:
    """Return a copy without damaged bundles; the newest other one replaces a damaged active one."""
    others = [bundle for bundle in memory.others if disk.holds(bundle)]
    active = memory.active
    if active and not disk.holds(active):
        _log.warning("the active bundle is damaged", extra={"device": memory.device_id})
        active = others.pop() if others else None
    return memory.model_copy(update={"active": active, "others": tuple(others)})
