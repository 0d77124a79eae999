"""The small rules of the saga: batches, bars, transitions, the log's form, what answers are worth."""

import json
from datetime import UTC, datetime, timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import given

from k1_contracts.messages.deployments import ActivateAt, Strategy
from k1_contracts.messages.device_link import DeviceReply, RunningBundle
from k1_deploy.saga import verdicts
from k1_deploy.saga.bar_line import BeyondTheEndError, next_downbeat
from k1_deploy.saga.device import ACTIVATION_ROUNDS, Device
from k1_deploy.saga.entries import (
    Became,
    Closed,
    Controlled,
    Intent,
    Locked,
    Opened,
    Outcome,
    command_id,
    from_json,
    logged,
    to_json,
)
from k1_deploy.saga.errors import IllegalTransitionError
from k1_deploy.saga.state import State
from k1_deploy.saga.steps import ActivateBatch, DeviceStep, TakeLocks, WaitUntil, Write, next_steps
from k1_deploy.saga.strategy import allowed_failures, batches
from k1_deploy.saga.transitions import admit, apply, extend, fold
from services.deploy.tests.devices import hello
from services.deploy.tests.saga_world import BUNDLE, DEPLOYMENT, NEW, OLD, START

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
        with pytest.raises(BeyondTheEndError, match="its last downbeat at"):
            next_downbeat(downbeats, START, earliest)
        return
    assert START + timedelta(milliseconds=reachable[0]) == next_downbeat(downbeats, START, earliest)


def test_a_song_without_downbeats() -> None:
    """Says so, and what to do."""
    with pytest.raises(BeyondTheEndError, match="has no downbeats; activate at a clock time"):
        next_downbeat([], START, START)


def test_a_command_id_fits_whatever_the_device_is_called() -> None:
    """The longest parts together keep within the link's 80 characters."""
    assert len(command_id(DEPLOYMENT, "rollback", "x" * 40, 99)) <= 80
    assert command_id(DEPLOYMENT, "stage", "k1", 0) == f"{DEPLOYMENT[4:]}:stage:k1:0"


def opened(count: int = 2, **changes: object) -> Opened:
    values = {
        "at": START,
        "bundle": BUNDLE,
        "device_ids": [f"k1-{number}" for number in range(count)],
        "strategy": {"observe_seconds": 5},
        "activation": {"when": "now"},
        "guard_s": 600,
    }
    return Opened.model_validate(values | changes)


def intent(step: str, device_id: str = "k1-0", **changes: object) -> Intent:
    values = {"at": START, "device_id": device_id, "step": step, "command_id": f"{step}:{device_id}"}
    return Intent.model_validate(values | changes)


def outcome(step: str, device_id: str = "k1-0", **changes: object) -> Outcome:
    values = {"at": START, "device_id": device_id, "step": step, "result": "done"}
    return Outcome.model_validate(values | changes)


def became(status: str, **changes: object) -> Became:
    return Became.model_validate({"at": START, "status": status} | changes)


def on_all(step: str, count: int = 2) -> list[Intent | Outcome]:
    before = {"before": RunningBundle(bundle_sha256=OLD)} if step == "check" else {}
    pairs = [(intent(step, f"k1-{n}"), outcome(step, f"k1-{n}", **before)) for n in range(count)]
    return [entry for pair in pairs for entry in pair]


STAGED = [
    opened(),
    Locked(at=START, device_ids=["k1-0", "k1-1"]),
    became("checking"),
    *on_all("check"),
    became("staging"),
    *on_all("stage"),
]
ACTIVE = [*STAGED, became("activating"), *on_all("activate"), *on_all("verify")]
SUCCESS = [*ACTIVE, became("observing", until=START), became("committing"), became("succeeded")]


def test_the_log_is_read_as_it_was_written() -> None:
    """Every entry survives JSON, and so does the state that the log comes to."""
    again = [from_json(to_json(entry)) for entry in SUCCESS]
    assert again == SUCCESS
    assert fold(DEPLOYMENT, again) == fold(DEPLOYMENT, SUCCESS)


def test_the_log_says_no_more_than_it_must() -> None:
    """Fields that are None are left out."""
    assert set(json.loads(to_json(outcome("stage")))) == {"kind", "at", "device_id", "step", "result"}


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_are_kept_to_the_millisecond(moment: datetime) -> None:
    """What is logged is what is read again."""
    entry = Closed(at=logged(moment))
    assert from_json(to_json(entry)) == entry


@pytest.mark.parametrize(
    ("log", "illegal", "says"),
    [
        ([opened()], opened(), "was opened before"),
        ([opened()], became("checking"), "k1-0 is pending"),
        ([opened()], became("staging"), "cannot become staging"),
        ([opened()], intent("check"), "not locked"),
        (STAGED[:2], intent("stage"), "while .* is queued"),
        (STAGED, intent("activate"), "while .* is staging"),
        (STAGED[:-1], became("activating"), "k1-1 is staging"),
        ([*STAGED, became("activating")], became("observing"), "k1-0 is staged"),
        ([*STAGED, became("activating")], intent("rollback"), "nothing is taken back"),
        ([*STAGED, became("activating"), intent("activate")], became("discarding"), "k1-0 is activating"),
        ([*STAGED, became("discarding")], became("failed"), "k1-0 is staged"),
        ([*STAGED, became("discarding")], intent("rollback"), "rollback cannot begin"),
        (ACTIVE, became("succeeded"), "cannot become succeeded"),
        (ACTIVE[:-1], became("observing"), "k1-1 is active"),
        ([*ACTIVE, became("rolling_back")], intent("discard"), "discard cannot begin"),
        ([*ACTIVE, became("rolling_back")], became("rolled_back"), "k1-0 is active"),
        (SUCCESS, Controlled(at=START, action="pause", by="anna"), "pause while .* is succeeded"),
        (ACTIVE, Closed(at=START), "has no guard"),
        (SUCCESS, outcome("verify"), "verify cannot end"),
        (STAGED, outcome("check", "k1-7"), "is not about device k1-7"),
        ([*STAGED[:4]], intent("check"), "check cannot begin"),
    ],
)
def test_what_is_illegal_is_refused(log: list, illegal: object, says: str) -> None:
    """Never a silent no-op: the writer is wrong, and hears where."""
    state = fold(DEPLOYMENT, log)
    with pytest.raises(IllegalTransitionError, match=says):
        apply(state, illegal)  # pyright: ignore[reportArgumentType]


def test_an_undo_is_registered_with_the_intent() -> None:
    """Before anything is done: a step of which nothing is known any more is taken back as well."""
    staging = fold(DEPLOYMENT, [*STAGED[:8], intent("stage")])
    assert staging.devices["k1-0"].undo == ("discard",)
    activating = fold(DEPLOYMENT, [*STAGED, became("activating"), intent("activate")])
    assert activating.devices["k1-0"].undo == ("discard", "rollback")
    due = next_steps(apply(activating, became("rolling_back")), START)
    assert due == [DeviceStep("rollback", "k1-0")]


def test_an_activation_that_nobody_saw_gets_new_moments_but_not_for_ever() -> None:
    """Interrupted, it is staged as before; after a few rounds it counts as failed."""
    state = fold(DEPLOYMENT, [*STAGED, became("activating")])
    for round_ in range(ACTIVATION_ROUNDS):
        assert state.devices["k1-0"].outcome == "staged"
        begun = intent("activate", round=round_)
        state = extend(state, [begun, outcome("activate", result="interrupted")])
    assert state.devices["k1-0"].outcome == "failed"
    with pytest.raises(IllegalTransitionError, match="only an activation"):
        Device("k1-0").begin(intent("check")).end(outcome("check", result="interrupted"))


def test_groups_are_admitted_whole_or_not_at_all() -> None:
    """What was overtaken is left out; the others are written as if it had not been there."""
    state = fold(DEPLOYMENT, [*STAGED, became("activating")])
    good, bad = [intent("activate")], [intent("activate", "k1-1"), intent("activate", "k1-1")]
    after, admitted = admit(state, [good, bad, [outcome("activate")]])
    assert admitted == [True, False, True]
    assert after == extend(state, [*good, outcome("activate")])
    assert state == fold(DEPLOYMENT, [*STAGED, became("activating")])


def test_a_new_deployment_takes_its_devices_first() -> None:
    """All of them at once, and nothing else is due."""
    assert next_steps(fold(DEPLOYMENT, [opened()]), START) == [TakeLocks(("k1-0", "k1-1"))]


def test_an_order_that_cannot_be_carried_out_takes_nothing() -> None:
    """It turns back at once, with its reason."""
    log = [opened(problem="no such bundle", problem_code="gone", bundle=None)]
    state = fold(DEPLOYMENT, log)
    [step] = next_steps(state, START)
    assert step == Write(became("discarding", code="gone", reason="no such bundle"))
    assert next_steps(apply(state, step.entry), START) == [Write(became("failed"))]


def test_a_given_time_is_waited_for_before_the_clocks_are_measured() -> None:
    """Five seconds before it the devices are armed; a later batch does not wait."""
    at = START + timedelta(seconds=60)
    log = [opened(activation=ActivateAt(at=at)), *STAGED[1:], became("activating")]
    state = fold(DEPLOYMENT, log)
    assert next_steps(state, START) == [WaitUntil(at - timedelta(seconds=5))]
    batch = ActivateBatch(1, ("k1-0", "k1-1"), ())
    assert next_steps(state, at - timedelta(seconds=5)) == [batch]


def test_while_paused_nothing_new_begins() -> None:
    """What is under way is finished; resumed, all is due again."""
    paused = Controlled(at=START, action="pause", by="anna")
    state = fold(DEPLOYMENT, [*STAGED[:8], intent("stage"), paused])
    assert next_steps(state, START) == [DeviceStep("stage", "k1-0", under_way=True)]
    resumed = apply(state, Controlled(at=START, action="resume", by="anna"))
    assert [step.device_id for step in next_steps(resumed, START)] == ["k1-0", "k1-1"]


def test_the_guard_ends() -> None:
    """After a success nothing is due until then; then it is closed."""
    state = fold(DEPLOYMENT, SUCCESS)
    over = START + timedelta(seconds=600)
    assert next_steps(state, START) == [WaitUntil(over)]
    [step] = next_steps(state, over)
    assert step == Write(Closed(at=over))
    assert next_steps(apply(state, Closed(at=over)), over) == []


def test_nothing_is_copied_that_did_not_change() -> None:
    """A state is a value: what came before stays as it was."""
    before = State(DEPLOYMENT)
    after = apply(before, opened())
    assert (len(before.devices), len(after.devices)) == (0, 2)


def reply(**changes: object) -> DeviceReply:
    values = {"command_id": "c", "device_id": "k1-0", "verb": "stage", "status": "done"}
    return DeviceReply.model_validate(values | changes)


def test_a_device_is_believed_where_what_it_holds_bears_it_out() -> None:
    """Done is not enough, and a refusal says what the device said."""
    holds = hello("k1-0", staged=[NEW])
    runs = hello("k1-0", active=RunningBundle(bundle_sha256=NEW))
    assert verdicts.staged(reply(hello=holds), NEW) is None
    assert verdicts.staged(reply(hello=runs), NEW) is None
    assert verdicts.staged(reply(hello=hello("k1-0")), NEW) == "it does not hold the bundle"
    assert verdicts.staged(reply(), NEW) == "it did not say what it holds"
    refused = reply(status="failed", code="no_space", message="1 KiB free")
    assert verdicts.staged(refused, NEW) == "stage failed (no_space: 1 KiB free)"
    assert verdicts.runs_new(runs, NEW) is None
    assert verdicts.runs_new(holds, NEW) == "it runs its idle show instead of the new bundle"
    assert verdicts.runs_again(runs, None) == f"it still runs bundle {NEW[:12]}"
    assert verdicts.runs_again(holds, None) is None
    assert verdicts.discarded(reply(hello=holds), NEW) == "it still holds the bundle"
    assert verdicts.discarded(reply(hello=runs), NEW) is None
