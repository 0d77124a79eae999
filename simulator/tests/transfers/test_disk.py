"""Tests the flash of a device after crashes and damage."""

from pathlib import Path

import pytest

from k1_simulator.state_machine.memory import Memory
from k1_simulator.transfers.disk import DeviceDisk
from simulator.tests.shows import DEVICE

FRESH = Memory(device_id=DEVICE, trusted={"k": "x"})


@pytest.fixture
def disk(tmp_path: Path) -> DeviceDisk:
    disk = DeviceDisk(tmp_path / "device")
    disk.load(FRESH)
    return disk


def two_bundles(disk: DeviceDisk) -> Memory:
    """Store two bundles: one runs, one is staged."""
    active, other = disk.add_bundle(b"one"), disk.add_bundle(b"two")
    memory = FRESH.model_copy(update={"active": active, "others": (other,)})
    disk.save(memory)
    return memory


def test_saved_memory_is_loaded_after_a_restart(disk: DeviceDisk) -> None:
    """Everything is loaded, also by another process."""
    memory = two_bundles(disk)
    assert DeviceDisk(disk.folder).load(FRESH) == memory


def test_files_that_no_memory_names_are_deleted(disk: DeviceDisk) -> None:
    """The part of an abandoned bundle and a bundle without a slot are deleted, and no other file."""
    memory = two_bundles(disk)
    (disk.folder / "notes.txt").write_text("mine")
    disk.partial("0" * 64).write_bytes(b"part")
    disk.save(memory.model_copy(update={"others": (), "fence": 1}))
    assert sorted(file.suffix for file in disk.folder.iterdir()) == [".json", ".k1b", ".txt"]


def test_a_part_that_is_still_needed_stays(disk: DeviceDisk) -> None:
    memory = two_bundles(disk).model_copy(update={"partial": "0" * 64})
    disk.partial("0" * 64).write_bytes(b"part")
    disk.save(memory)
    disk.save(memory.model_copy(update={"others": ()}))
    assert disk.partial("0" * 64).read_bytes() == b"part"


def test_a_crash_before_the_memory_is_replaced_keeps_the_old_one(
    disk: DeviceDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever the crash happens, no file is half written and no bundle is missing."""
    memory = two_bundles(disk)

    def crash(*_: object) -> None:
        raise OSError("power cut")

    with monkeypatch.context() as broken:
        broken.setattr(Path, "replace", crash)
        with pytest.raises(OSError, match="power cut"):
            disk.save(memory.model_copy(update={"others": ()}))
    assert DeviceDisk(disk.folder).load(FRESH) == memory


def test_a_bundle_that_no_memory_names_yet_is_not_held(disk: DeviceDisk) -> None:
    """This happens when the crash is between the file and the memory that names it."""
    memory = two_bundles(disk)
    disk.add_bundle(b"three")
    again = DeviceDisk(disk.folder)
    assert again.load(FRESH) == memory
    assert len([file for file in disk.folder.iterdir() if file.suffix == ".k1b"]) == 2


@pytest.mark.parametrize("damage", [b"", b"onx", None])
def test_the_other_bundle_replaces_a_damaged_active_one(disk: DeviceDisk, damage: bytes | None) -> None:
    """If the file is empty, changed or missing, the device plays a complete bundle."""
    memory = two_bundles(disk)
    assert memory.active is not None
    file = disk.folder / f"{memory.active.bundle_sha256}.k1b"
    if damage is None:
        file.unlink()
    else:
        file.write_bytes(damage)
    found = DeviceDisk(disk.folder).load(FRESH)
    assert found.active == memory.others[0]
    assert found.others == ()


@pytest.mark.parametrize("text", [b"", b"{", b'{"device_id": 5}', bytes(range(128, 178))])
def test_a_device_with_an_unreadable_state_starts_with_a_new_one(disk: DeviceDisk, text: bytes) -> None:
    """It starts with the keys of its identity."""
    two_bundles(disk)
    (disk.folder / "state.json").write_bytes(text)
    assert DeviceDisk(disk.folder).load(FRESH) == FRESH
