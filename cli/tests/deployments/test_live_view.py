"""The live view of `k1 deploy --watch`."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from cli.tests.deployment_samples import DEPLOYMENT, at, rollback, rollout, step, view
from cli.tests.terminal import print_to_pipe, print_to_terminal
from k1_cli.deployments.live_view import LiveView
from k1_cli.deployments.rendering import MAX_ROWS, describe_end, render
from k1_contracts.messages.deploy.deployment_queries import DeploymentView, DeviceDeployment, LogLine
from k1_contracts.messages.deploy.deployments import DeploymentChange


def change(status: Any, seconds: float = 1.0, **more: Any) -> DeploymentChange:
    return DeploymentChange(deployment_id=DEPLOYMENT, status=status, at=at(seconds), **more)


def live_view_of(deployment: DeploymentView) -> LiveView:
    return LiveView(deployment, "Night Drive")


def shown(live: LiveView, seconds: float = 5.0) -> str:
    return print_to_pipe(render(live, at(seconds)), width=140)


def pending(count: int) -> DeploymentView:
    devices = [DeviceDeployment(device_id=f"k1-{n}", outcome="pending", batch=1) for n in range(count)]
    return view(devices, "staging", 1)


@given(st.permutations(range(8)))
def test_the_changes_lead_to_the_view(order: list[int]) -> None:
    """The changes of all steps, with the devices in any order, lead to the same state as the full view."""
    whole = rollout(8, canary=1, batch_size=3)
    bare = [device.model_copy(update={"steps": [], "outcome": "pending"}) for device in whole.devices]
    live = live_view_of(whole.model_copy(update={"devices": bare, "status": "staging"}))
    for number in order:
        device = whole.devices[number]
        for each in device.steps:
            live.apply(change("staging", device_id=device.device_id, outcome=device.outcome, step=each))
    live.apply(change("succeeded"))
    assert live.rows == live_view_of(whole).rows
    assert (live.status, live.counts) == ("succeeded", {"committed": 8})


def test_each_device_has_a_row() -> None:
    """The row shows the progress of the transfer, the attempt and the reason of a failure."""
    live = live_view_of(pending(3))
    changes = [
        change(
            "staging",
            device_id="k1-0",
            outcome="staging",
            step=step("stage", 0, None, "running"),
            percent=45.4,
        ),
        change("staging", device_id="k1-1", outcome="staged", step=step("stage", 0, 1, attempt=2)),
        change(
            "staging",
            device_id="k1-2",
            outcome="failed",
            step=step("stage", 0, 1, "failed", detail="no space"),
        ),
        change("staging", device_id="k1-unknown", outcome="failed"),
    ]
    lines = [line for each in changes for line in live.apply(each)]
    assert lines == ["20:15:31 k1-2 stage failed: no space"]
    rows = shown(live).splitlines()
    assert "45 %" in next(row for row in rows if row.startswith("k1-0"))
    assert "✓ 2." in next(row for row in rows if row.startswith("k1-1"))
    failed = next(number for number, row in enumerate(rows) if row.startswith("k1-2"))
    assert "✗" in rows[failed]
    assert "no space" in rows[failed + 1]
    assert "unknown" not in shown(live)


def test_status_and_pause_are_shown_once() -> None:
    """A change that only repeats them adds no line."""
    live = live_view_of(pending(1))
    assert live.apply(change("activating")) == ["20:15:31 activating"]
    assert live.apply(change("activating")) == []
    assert live.apply(change("activating", paused=True)) == ["20:15:31 paused"]
    assert "paused" in shown(live)


def test_many_devices_are_summed_up() -> None:
    """The table has one row per batch, and names the failed devices."""
    live = live_view_of(pending(MAX_ROWS + 1))
    live.apply(change("staging", device_id="k1-7", outcome="failed", step=step("stage", 0, 1, "failed")))
    text = shown(live)
    assert "1 failed  40 pending" in text
    assert "k1-7" in text
    assert "k1-8" not in text


def test_eighty_columns_are_enough() -> None:
    """Neither a device nor its outcome is cut short."""
    shown_text = print_to_terminal(render(live_view_of(rollback()), at(5)))
    assert "k1-12" in shown_text
    assert "rolled back" in shown_text
    assert "discarded" in shown_text
    assert max(map(cell_len, shown_text.splitlines())) <= 80


@pytest.mark.parametrize("count", [0, 1, MAX_ROWS, 1000])
def test_any_number_of_devices_fits_a_screen(count: int) -> None:
    assert len(shown(live_view_of(pending(count))).splitlines()) <= MAX_ROWS + 12


def test_the_end_is_one_sentence() -> None:
    """It contains the status, the reason, the counts, and the failed devices with their steps."""
    assert describe_end(live_view_of(rollback())) == (
        f"{DEPLOYMENT} rolled back: k1-07: activate_failed: the bundle did not start within 2 s ($x_1$ = 0) "
        "(5 discarded, 7 rolled back)\n"
        "  k1-07 rolled back: activate failed: no answer"
    )


def test_the_log_names_the_device_of_a_failure() -> None:
    """Each line about a device contains its id, and the name of the step only once."""
    lines = [LogLine(seq=1, at=at(1), text="activate failed (no answer)", device_id="k1-0")]
    live = live_view_of(pending(1).model_copy(update={"log": lines}))
    assert list(live.log_tail) == ["20:15:31 k1-0 activate failed (no answer)"]
    failed = step("activate", 0, 1, "failed", detail="activate failed (no answer)")
    added = live.apply(change("activating", device_id="k1-0", outcome="failed", step=failed))
    assert added[-1] == "20:15:31 k1-0 activate failed (no answer)"
    assert "Night Drive version 3" in shown(live)


def test_it_shows_what_it_waits_for() -> None:
    """A queued deployment shows the deployments that it waits for."""
    live = live_view_of(view([], "queued", 1, waits_for=[DEPLOYMENT]))
    assert f"waits for {DEPLOYMENT}" in shown(live)
