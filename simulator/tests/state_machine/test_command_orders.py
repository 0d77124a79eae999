"""Tests the invariants of a device with commands in any order, repeated, stale, late, and with restarts."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from k1_contracts.messages.deploy.device_link import FINAL_STATUSES, ReplyCode, Verb
from k1_simulator.state_machine.machine import Machine
from k1_simulator.state_machine.memory import Memory
from k1_simulator.state_machine.transition import Effect
from simulator.tests.shows import address, command, fresh, held, replies

BUNDLES = st.integers(1, 4)
IDS = st.integers(0, 12).map(str)
FENCES = st.integers(0, 6)


class AnyOrder(RuleBasedStateMachine):
    """Runs a device that starts with a bundle."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = fresh(active=held(1))
        self.now = 0.0
        self.highest = 0
        self.finals: dict[tuple[str, str], str] = {}
        self.idle_on_purpose = False

    def send(self, verb: Verb, command_id: str, fence: int, **fields: Any) -> None:
        before, self.now = self.machine.memory, self.now + 1
        body = command(verb, f"{verb}-{command_id}", fence=fence, **fields)
        known = before.answer_to(f"{verb}-{command_id}")
        effects = self.machine.receive(verb, body, self.now)
        answers = {answer.command_id: answer for answer in replies(effects)}
        answer = answers[f"{verb}-{command_id}"]
        if 0 < fence < self.highest:
            assert known or answer.code == "stale_fence"
        if known or answer.status == "refused":
            assert self.without_fence(self.machine.memory) == self.without_fence(before)
        elif verb == "deactivate":
            self.idle_on_purpose = fields["restore"] is None
        elif verb == "activate":
            assert answer.status in {"accepted", "done"}
        self.highest = max(self.highest, fence)
        self.note(effects)

    def note(self, effects: list[Effect]) -> None:
        """A final answer to a command is never followed by another outcome."""
        for answer in replies(effects):
            if answer.status in FINAL_STATUSES - {"refused"}:
                key = (answer.verb, answer.command_id)
                assert self.finals.setdefault(key, answer.status) == answer.status
                assert answer.hello is not None

    @staticmethod
    def without_fence(memory: Memory) -> Memory:
        return memory.model_copy(update={"fence": 0})

    @rule(number=BUNDLES, command_id=IDS, fence=FENCES)
    def stage(self, number: int, command_id: str, fence: int) -> None:
        self.send("stage", command_id, fence, bundle_sha256=address(number))

    @rule(number=BUNDLES, command_id=IDS, fence=FENCES, ahead=st.none() | st.floats(-100, 100))
    def activate(self, number: int, command_id: str, fence: int, ahead: float | None) -> None:
        at_ms = None if ahead is None else self.now + ahead
        self.send("activate", command_id, fence, bundle_sha256=address(number), at_ms=at_ms)

    @rule(number=st.none() | BUNDLES, command_id=IDS, fence=FENCES)
    def deactivate(self, number: int | None, command_id: str, fence: int) -> None:
        self.send("deactivate", command_id, fence, restore=None if number is None else address(number))

    @rule(number=BUNDLES, command_id=IDS, fence=FENCES)
    def discard(self, number: int, command_id: str, fence: int) -> None:
        self.send("discard", command_id, fence, bundle_sha256=address(number))

    @rule()
    def transferred(self) -> None:
        self.note(self.machine.transferred())

    @rule(code=st.sampled_from(["fetch_failed", "hash_mismatch", "bad_signature"]))
    def transfer_failed(self, code: ReplyCode) -> None:
        self.note(self.machine.transfer_failed(code, "why"))

    @precondition(lambda self: self.machine.memory.armed is not None)
    @rule(works=st.booleans())
    def moment(self, works: bool) -> None:
        if works:
            self.note(self.machine.activated(self.now))
            self.idle_on_purpose = False
        else:
            self.note(self.machine.activation_failed("why"))

    @rule()
    def restart(self) -> None:
        kept = Memory.model_validate_json(self.machine.memory.to_json())
        assert kept == self.machine.memory
        self.machine = Machine(self.machine.profile, kept)
        self.note(self.machine.booted(0.0))

    @invariant()
    def plays_unless_told_not_to(self) -> None:
        """Only `deactivate` without a bundle to restore ends in the idle show."""
        assert self.machine.memory.active is not None or self.idle_on_purpose

    @invariant()
    def keeps_within_its_slots(self) -> None:
        """Two bundles, none twice, and what is armed is here."""
        memory = self.machine.memory
        addresses = [bundle.bundle_sha256 for bundle in memory.held]
        assert len(addresses) == len(set(addresses)) <= 2
        assert memory.armed is None or memory.find(memory.armed.bundle_sha256)
        assert memory.job is None or memory.partial == memory.job.command.bundle_sha256
        assert memory.job is None or memory.find(memory.job.command.bundle_sha256) is None

    @invariant()
    def remembers_the_highest_fence(self) -> None:
        assert self.machine.memory.fence == self.highest


AnyOrder.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestAnyOrder = AnyOrder.TestCase
