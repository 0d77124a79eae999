"""The log as people read it."""

from datetime import timedelta

from k1_deploy.saga.entries import Alarmed, Controlled, LeaseTakenOver
from k1_deploy.saga.timeline import device_views, log_lines
from k1_deploy.saga.transitions import fold
from services.deploy.tests.saga.sample_deployment import (
    ACTIVE,
    DEPLOYMENT,
    OLD,
    START,
    SUCCESS,
    intent,
    outcome,
    status_changed,
)

LATER = START + timedelta(seconds=3)


def test_each_device_has_its_steps() -> None:
    """From check to commit, each with its times and its result."""
    state = fold(DEPLOYMENT, SUCCESS)
    for view in device_views(state, SUCCESS):
        steps = [(step.step, step.status) for step in view.steps]
        names = ["check", "stage", "activate", "verify", "observe", "commit"]
        assert [(name, "done") for name in names] == steps
        assert (view.outcome, view.batch) == ("committed", 1)
        assert view.before
        assert view.before.bundle_sha256 == OLD


def test_a_step_in_progress_and_one_that_was_compensated() -> None:
    """One is running; the other ended when its compensation began."""
    log = [*ACTIVE[:-2], status_changed("rolling_back"), intent("rollback", "k1-1", at=LATER)]
    log.insert(-2, intent("verify", "k1-1"))
    views = {view.device_id: view for view in device_views(fold(DEPLOYMENT, log), log)}
    verify, rollback = views["k1-1"].steps[-2:]
    assert (verify.step, verify.status, verify.ended_at) == ("verify", "failed", LATER)
    assert (rollback.step, rollback.status, rollback.ended_at) == ("rollback", "running", None)


def test_observing_ends_for_a_device_with_its_alarm() -> None:
    """For the others it continues."""
    alarm = Alarmed(at=LATER, device_id="k1-0", alarm="drift", reason="drift_ms > 100 for 5s")
    log = [*ACTIVE, status_changed("observing", until=LATER), alarm]
    first, second = device_views(fold(DEPLOYMENT, log), log)
    assert (first.steps[-1].step, first.steps[-1].status) == ("observe", "failed")
    assert (first.steps[-1].detail, first.reason) == (alarm.reason, alarm.reason)
    assert (second.steps[-1].step, second.steps[-1].status) == ("observe", "running")


def test_an_activation_shows_its_error() -> None:
    """In ms from the agreed moment; another round is another attempt."""
    log = [
        *ACTIVE[:-8],
        intent("activate"),
        outcome("activate", result="interrupted"),
        intent("activate", round=1),
        outcome("activate", error_ms=-3.5),
    ]
    [first, _] = device_views(fold(DEPLOYMENT, log), log)
    interrupted, done = first.steps[-2:]
    assert (interrupted.status, interrupted.attempt, interrupted.detail) == ("failed", 1, "interrupted")
    assert (done.status, done.attempt, done.error_ms) == ("done", 2, -3.5)


def test_the_log_lines_leave_out_successful_steps() -> None:
    """Decisions, controls, processes and failures; the timelines hold the rest."""
    log = [
        *SUCCESS[:3],
        intent("check"),
        outcome("check", result="failed", reason="it is not there"),
        LeaseTakenOver(at=LATER, owner="deploy-2", fence=7),
        Controlled(at=LATER, action="cancel", by="anna", reason="wrong song"),
        status_changed("discarding", reason="cancelled by anna"),
    ]
    lines = log_lines(log)
    assert [line.text for line in lines] == [
        "ordered for 2 devices",
        "holds 2 devices",
        "checking",
        "check failed: it is not there",
        "taken over by deploy-2",
        "cancel by anna: wrong song",
        "discarding: cancelled by anna",
    ]
    assert [line.seq for line in lines] == [1, 2, 3, 5, 6, 7, 8]
    assert lines[3].device_id == "k1-0"
