"""Tests that each change of a flash is reported with its command, and that faults can end."""

from collections.abc import Callable
from typing import Any

from k1_simulator.event_log import FlashContents
from k1_simulator.faults.models import FaultPlan, Mute, Offline
from k1_simulator.state_machine.transition import FlashChanged
from simulator.tests.commander import Commander
from simulator.tests.conftest import MakeFleet
from simulator.tests.shows import address, command, fresh, held
from tests.support.waiting import eventually


def changed(effects: list[Any]) -> list[tuple[str, ...]]:
    return [effect.command_ids for effect in effects if isinstance(effect, FlashChanged)]


def test_every_change_of_the_slots_is_reported_once() -> None:
    """Stage, activate, deactivate and discard are reported; a repeated command changes nothing."""
    machine = fresh(active=held(1))
    assert changed(machine.receive("stage", command("stage", "c1", bundle_sha256=address(2)), 0.0)) == []
    assert changed(machine.transferred()) == [("c1",)]
    activate = command("activate", "c2", bundle_sha256=address(2))
    assert changed(machine.receive("activate", activate, 0.0)) == []
    assert changed(machine.activated(1.0)) == [("c2",)]
    assert changed(machine.receive("activate", activate, 2.0)) == []
    deactivate = command("deactivate", "c3", restore=address(1))
    assert changed(machine.receive("deactivate", deactivate, 3.0)) == [("c3",)]
    assert changed(machine.receive("deactivate", deactivate, 3.0)) == []
    discard = command("discard", "c4", bundle_sha256=address(2))
    assert changed(machine.receive("discard", discard, 4.0)) == [("c4",)]
    assert changed(machine.receive("discard", discard, 4.0)) == []


async def test_flash_contents_are_reported_from_the_start(
    make_fleet: MakeFleet, commander: Commander, store: Callable[[int], Any], unique: str
) -> None:
    """A bundle is reported once it is on the flash."""
    received: list[FlashContents] = []
    fleet = make_fleet([unique], factory=True, on_flash_change=received.append)
    async with fleet:
        [(first, others)] = [(each.active, each.others) for each in received]
        assert others == ()
        fields = await store(3)
        await commander.call(unique, "stage", "c1", **fields)
        assert received[1:] == [FlashContents(unique, first, (fields["bundle_sha256"],), ("c1",))]


async def test_faults_end(make_fleet: MakeFleet, commander: Commander, unique: str) -> None:
    """An offline device comes back, and a fault of `always` does not happen again."""
    faults = [
        Offline(fault="offline", devices=unique, step="info", for_s=3600),
        Mute(fault="mute", step="ping", repeat="always"),
    ]
    async with make_fleet([unique], faults=FaultPlan(faults=faults)) as fleet:
        await commander.send(unique, "info", "c1")
        await eventually(lambda: not fleet.state(unique).online, "it is away")
        fleet.end_faults()
        await eventually(lambda: fleet.state(unique).online, "it is back")
        assert (await commander.call(unique, "ping", "c2")).status == "done"
