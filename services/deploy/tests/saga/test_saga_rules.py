"""The rules of the saga: batches, downbeats, transitions, the form of the log, checks of replies."""

import json
from datetime import UTC, datetime, timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import given

from k1_contracts.messages.deploy.deployments import ActivateAt, Strategy
from k1_contracts.messages.deploy.device_link import DeviceReply, RunningBundle
from k1_deploy.saga import reply_checks
from k1_deploy.saga.device import ACTIVATION_ROUNDS, Device
from k1_deploy.saga.downbeats import NoDownbeatError, next_downbeat
from k1_deploy.saga.entries import (
    Closed,
    Controlled,
    LogEntry,
    command_id,
    from_json,
    to_json,
    truncate_to_ms,
)
from k1_deploy.saga.errors import IllegalTransitionError
from k1_deploy.saga.state import State
from k1_deploy.saga.steps import ActivateBatch, DeviceStep, LockDevices, WaitUntil, WriteEntry, next_steps
from k1_deploy.saga.strategy import allowed_failures, batches
from k1_deploy.saga.transitions import admit, apply, extend, fold
from services.deploy.tests.saga.sample_deployment import (
    ACTIVE,
    DEPLOYMENT,
    NEW,
    STAGED,
    START,
    SUCCESS,
    intent,
    opened,
    outcome,
    status_changed,
)
from services.deploy.tests.scripted_device import hello

IDS = st.lists(st.integers(0, 999).map("k1-{}".format), unique=True, max_size=40)
STRATEGIES = st.builds(
    Strategy,
    canary=st.integers(0, 50),
    batch_size=st.one_of(st.none(), st.integers(1, 50)),
    max_failures=st.one_of(st.integers(0, 50), st.integers(0, 100).map("{}%".format)),
)


@given(STRATEGIES, IDS)
def test_batches_hold_every_device_once_in_order(strategy: Strategy, ids: list[str]) -> None:
    """The canary first, no batch empty, none larger than it may be."""
    made = batches(strategy, ids)
    assert ids == [device_id for batch in made for device_id in batch]
    assert all(made)
    if strategy.canary and ids:
        assert len(made[0]) == min(strategy.canary, len(ids))
    later = made[1:] if strategy.canary else made
    if strategy.batch_size:
        assert all(len(batch) <= strategy.batch_size for batch in later)
    else:
        assert len(later) <= 1


@given(st.integers(0, 100), st.integers(0, 1000))
def test_a_share_of_failures_is_rounded_down(percent: int, total: int) -> None:
    """Never more than the share; a count stays a count."""
    allowed = allowed_failures(Strategy(max_failures=f"{percent}%"), total)
    assert allowed * 100 <= percent * total < (allowed + 1) * 100
    assert allowed_failures(Strategy(max_failures=percent), total) == percent


RISING = st.lists(st.floats(0, 1e6), min_size=1, max_size=50, unique=True).map(sorted)


@given(RISING, st.floats(-1e5, 1.2e6))
def test_the_next_downbeat_is_the_first_that_can_be_reached(downbeats: list[float], position: float) -> None:
    """Not before the moment, and no earlier downbeat is after it; beyond the last one that is an error."""
    earliest = START + timedelta(milliseconds=position)
    exact = (earliest - START) / timedelta(milliseconds=1)
    reachable = [each for each in downbeats if each >= exact]
    if not reachable:
        with pytest.raises(NoDownbeatError, match="its last downbeat at"):
            next_downbeat(downbeats, START, earliest)
        return
    assert START + timedelta(milliseconds=reachable[0]) == next_downbeat(downbeats, START, earliest)


def test_a_song_without_downbeats() -> None:
    """The error says so, and what to do."""
    with pytest.raises(NoDownbeatError, match="has no downbeats; activate at a clock time"):
        next_downbeat([], START, START)


def test_a_command_id_has_at_most_80_characters() -> None:
    """The longest parts together keep within the link's 80 characters."""
    assert len(command_id(DEPLOYMENT, "rollback", "x" * 40, 99)) <= 80
    assert command_id(DEPLOYMENT, "stage", "k1", 0) == f"{DEPLOYMENT[4:]}:stage:k1:0"


def test_the_log_is_read_as_it_was_written() -> None:
    """Every entry survives JSON, and so does the state that the log comes to."""
    again = [from_json(to_json(entry)) for entry in SUCCESS]
    assert again == SUCCESS
    assert fold(DEPLOYMENT, again) == fold(DEPLOYMENT, SUCCESS)


def test_the_log_leaves_out_empty_fields() -> None:
    """Fields that are None are left out."""
    assert set(json.loads(to_json(outcome("stage")))) == {"kind", "at", "device_id", "step", "result"}


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_are_kept_to_the_millisecond(moment: datetime) -> None:
    """What is logged is what is read again."""
    entry = Closed(at=truncate_to_ms(moment))
    assert from_json(to_json(entry)) == entry


@pytest.mark.parametrize(
    ("log", "illegal", "says"),
    [
        ([opened()], opened(), "was opened before"),
        ([opened()], status_changed("checking"), "k1-0 is pending"),
        ([opened()], status_changed("staging"), "cannot become staging"),
        ([opened()], intent("check"), "not locked"),
        (STAGED[:2], intent("stage"), "while .* is queued"),
        (STAGED, intent("activate"), "while .* is staging"),
        (STAGED[:-1], status_changed("activating"), "k1-1 is staging"),
        ([*STAGED, status_changed("activating")], status_changed("observing"), "k1-0 is staged"),
        ([*STAGED, status_changed("activating")], intent("rollback"), "nothing is taken back"),
        (
            [*STAGED, status_changed("activating"), intent("activate")],
            status_changed("discarding"),
            "k1-0 is activating",
        ),
        ([*STAGED, status_changed("discarding")], status_changed("failed"), "k1-0 is staged"),
        ([*STAGED, status_changed("discarding")], intent("rollback"), "rollback cannot begin"),
        (ACTIVE, status_changed("succeeded"), "cannot become succeeded"),
        (ACTIVE[:-1], status_changed("observing"), "k1-1 is active"),
        ([*ACTIVE, status_changed("rolling_back")], intent("discard"), "discard cannot begin"),
        ([*ACTIVE, status_changed("rolling_back")], status_changed("rolled_back"), "k1-0 is active"),
        (SUCCESS, Controlled(at=START, action="pause", by="anna"), "pause while .* is succeeded"),
        (ACTIVE, Closed(at=START), "has no guard"),
        (SUCCESS, outcome("verify"), "verify cannot end"),
        (STAGED, outcome("check", "k1-7"), "is not about device k1-7"),
        ([*STAGED[:4]], intent("check"), "check cannot begin"),
    ],
)
def test_illegal_entries_are_rejected(log: list[LogEntry], illegal: LogEntry, says: str) -> None:
    """Never a silent no-op: the writer gets an error that names the state."""
    state = fold(DEPLOYMENT, log)
    with pytest.raises(IllegalTransitionError, match=says):
        apply(state, illegal)


def test_a_compensation_is_registered_with_the_intent() -> None:
    """Before anything is done: a step with an unknown result is undone as well."""
    staging = fold(DEPLOYMENT, [*STAGED[:8], intent("stage")])
    assert staging.devices["k1-0"].undo == ("discard",)
    activating = fold(DEPLOYMENT, [*STAGED, status_changed("activating"), intent("activate")])
    assert activating.devices["k1-0"].undo == ("discard", "rollback")
    due = next_steps(apply(activating, status_changed("rolling_back")), START)
    assert due == [DeviceStep("rollback", "k1-0")]


def test_an_interrupted_activation_gets_new_moments_but_not_forever() -> None:
    """Interrupted, it is staged as before; after a few rounds it counts as failed."""
    state = fold(DEPLOYMENT, [*STAGED, status_changed("activating")])
    for round_ in range(ACTIVATION_ROUNDS):
        assert state.devices["k1-0"].outcome == "staged"
        begun = intent("activate", round=round_)
        state = extend(state, [begun, outcome("activate", result="interrupted")])
    assert state.devices["k1-0"].outcome == "failed"
    with pytest.raises(IllegalTransitionError, match="only an activation"):
        Device("k1-0").begin(intent("check")).end(outcome("check", result="interrupted"))


def test_groups_are_admitted_whole_or_not_at_all() -> None:
    """An illegal group is left out; the others are applied as if it had not been there."""
    state = fold(DEPLOYMENT, [*STAGED, status_changed("activating")])
    good, bad = [intent("activate")], [intent("activate", "k1-1"), intent("activate", "k1-1")]
    after, admitted = admit(state, [good, bad, [outcome("activate")]])
    assert admitted == [True, False, True]
    assert after == extend(state, [*good, outcome("activate")])
    assert state == fold(DEPLOYMENT, [*STAGED, status_changed("activating")])


def test_a_new_deployment_locks_its_devices_first() -> None:
    """All locks at once, and nothing else is due."""
    assert next_steps(fold(DEPLOYMENT, [opened()]), START) == [LockDevices(("k1-0", "k1-1"))]


def test_an_impossible_order_locks_nothing() -> None:
    """It turns back at once, with its reason."""
    log = [opened(problem="no such bundle", problem_code="gone", bundle=None)]
    state = fold(DEPLOYMENT, log)
    [step] = next_steps(state, START)
    turned_back = status_changed("discarding", code="gone", reason="no such bundle")
    assert step == WriteEntry(turned_back)
    assert next_steps(apply(state, turned_back), START) == [WriteEntry(status_changed("failed"))]


def test_a_given_time_is_waited_for_before_the_clocks_are_measured() -> None:
    """Five seconds before it the devices are armed; a later batch does not wait."""
    at = START + timedelta(seconds=60)
    log = [opened(activation=ActivateAt(at=at)), *STAGED[1:], status_changed("activating")]
    state = fold(DEPLOYMENT, log)
    assert next_steps(state, START) == [WaitUntil(at - timedelta(seconds=5))]
    batch = ActivateBatch(1, ("k1-0", "k1-1"), ())
    assert next_steps(state, at - timedelta(seconds=5)) == [batch]


def test_while_paused_nothing_new_begins() -> None:
    """Steps in progress are finished; resumed, all is due again."""
    paused = Controlled(at=START, action="pause", by="anna")
    state = fold(DEPLOYMENT, [*STAGED[:8], intent("stage"), paused])
    assert next_steps(state, START) == [DeviceStep("stage", "k1-0", under_way=True)]
    resumed = apply(state, Controlled(at=START, action="resume", by="anna"))
    due = next_steps(resumed, START)
    assert [isinstance(step, DeviceStep) and step.device_id for step in due] == ["k1-0", "k1-1"]


def test_the_guard_ends() -> None:
    """After a success nothing is due until then; then it is closed."""
    state = fold(DEPLOYMENT, SUCCESS)
    over = START + timedelta(seconds=600)
    assert next_steps(state, START) == [WaitUntil(over)]
    [step] = next_steps(state, over)
    assert step == WriteEntry(Closed(at=over))
    assert next_steps(apply(state, Closed(at=over)), over) == []


def test_nothing_is_copied_that_did_not_change() -> None:
    """A state is a value: the one before stays as it was."""
    before = State(DEPLOYMENT)
    after = apply(before, opened())
    assert (len(before.devices), len(after.devices)) == (0, 2)


def reply(**changes: object) -> DeviceReply:
    values = {"command_id": "c", "device_id": "k1-0", "verb": "stage", "status": "done"}
    return DeviceReply.model_validate(values | changes)


def test_a_reply_counts_only_if_the_reported_state_confirms_it() -> None:
    """`done` is not enough, and an error contains the device's reason."""
    holds = hello("k1-0", staged=[NEW])
    runs = hello("k1-0", active=RunningBundle(bundle_sha256=NEW))
    assert reply_checks.check_staged(reply(hello=holds), NEW) is None
    assert reply_checks.check_staged(reply(hello=runs), NEW) is None
    assert reply_checks.check_staged(reply(hello=hello("k1-0")), NEW) == "it does not hold the bundle"
    assert reply_checks.check_staged(reply(), NEW) == "it did not say what it holds"
    refused = reply(status="failed", code="no_space", message="1 KiB free")
    assert reply_checks.check_staged(refused, NEW) == "stage failed (no_space: 1 KiB free)"
    assert reply_checks.check_runs(runs, NEW) is None
    assert reply_checks.check_runs(holds, NEW) == "it runs its idle show instead of the new bundle"
    assert reply_checks.check_restored(runs, None) == f"it still runs bundle {NEW[:12]}"
    assert reply_checks.check_restored(holds, None) is None
    assert reply_checks.check_discarded(reply(hello=holds), NEW) == "it still holds the bundle"
    assert reply_checks.check_discarded(reply(hello=runs), NEW) is None
