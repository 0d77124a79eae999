"""What `k1 deploy --watch` shows."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from cli.tests.deployment_samples import DEPLOYMENT, at, rollback, rollout, step, view
from k1_cli.board import Board
from k1_cli.console import LiteralConsole
from k1_cli.watching import MOST_ROWS, render, sentence
from k1_contracts.messages.deployment_queries import DeploymentView, DeviceDeployment, LogLine
from k1_contracts.messages.deployments import DeploymentChange


def change(status: Any, seconds: float = 1.0, **more: Any) -> DeploymentChange:
    return DeploymentChange(deployment_id=DEPLOYMENT, status=status, at=at(seconds), **more)


def board_of(deployment: DeploymentView) -> Board:
    return Board(deployment, "Night Drive")


def shown(board: Board, seconds: float = 5.0) -> str:
    console = LiteralConsole(width=140)
    with console.capture() as captured:
        console.print(render(board, at(seconds)))
    return captured.get()


def pending(count: int) -> DeploymentView:
    devices = [DeviceDeployment(device_id=f"k1-{n}", outcome="pending", batch=1) for n in range(count)]
    return view(devices, "staging", 1)


@given(st.permutations(range(8)))
def test_the_changes_lead_to_the_view(order: list[int]) -> None:
    """Every step told one by one, devices in any order, gives the board of the whole deployment."""
    whole = rollout(8, canary=1, batch_size=3)
    bare = [device.model_copy(update={"steps": [], "outcome": "pending"}) for device in whole.devices]
    board = board_of(whole.model_copy(update={"devices": bare, "status": "staging"}))
    for number in order:
        device = whole.devices[number]
        for each in device.steps:
            board.take_change(
                change("staging", device_id=device.device_id, outcome=device.outcome, step=each)
            )
    board.take_change(change("succeeded"))
    assert board.rows == board_of(whole).rows
    assert (board.status, board.counts) == ("succeeded", {"committed": 8})


def test_each_device_has_a_row() -> None:
    """With how far its transfer is, which try it is, and why it failed."""
    board = board_of(pending(3))
    told = [
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
    lines = [line for each in told for line in board.take_change(each)]
    assert lines == ["20:15:31 k1-2 stage failed: no space"]
    rows = shown(board).splitlines()
    assert "45 %" in next(row for row in rows if row.startswith("k1-0"))
    assert "✓ 2." in next(row for row in rows if row.startswith("k1-1"))
    failed = next(number for number, row in enumerate(rows) if row.startswith("k1-2"))
    assert "✗" in rows[failed]
    assert "no space" in rows[failed + 1]
    assert "unknown" not in shown(board)


def test_status_and_pause_are_told_once() -> None:
    """A change that only repeats them adds no line."""
    board = board_of(pending(1))
    assert board.take_change(change("activating")) == ["20:15:31 activating"]
    assert board.take_change(change("activating")) == []
    assert board.take_change(change("activating", paused=True)) == ["20:15:31 paused"]
    assert "paused" in shown(board)


def test_many_devices_are_summed_up() -> None:
    """A row a batch, and those in trouble by name."""
    board = board_of(pending(MOST_ROWS + 1))
    board.take_change(
        change("staging", device_id="k1-7", outcome="failed", step=step("stage", 0, 1, "failed"))
    )
    text = shown(board)
    assert "1 failed  40 pending" in text
    assert "k1-7" in text
    assert "k1-8" not in text


def test_eighty_columns_do() -> None:
    """Neither a device nor its outcome is cut short."""
    console = LiteralConsole(width=80, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(render(board_of(rollback()), at(5)))
    assert "k1-12" in captured.get()
    assert "rolled back" in captured.get()
    assert "discarded" in captured.get()
    assert max(map(cell_len, captured.get().splitlines())) <= 80


@pytest.mark.parametrize("count", [0, 1, MOST_ROWS, 1000])
def test_any_number_of_devices_fits_a_screen(count: int) -> None:
    assert len(shown(board_of(pending(count))).splitlines()) <= MOST_ROWS + 12


def test_the_end_is_one_sentence() -> None:
    """What became of it, why, of how many, and which devices failed at what."""
    assert sentence(board_of(rollback())) == (
        f"{DEPLOYMENT} rolled back: k1-07: activate_failed: the bundle did not start within 2 s ($x_1$ = 0) "
        "(5 discarded, 7 rolled back)\n"
        "  k1-07 rolled back: activate failed: no answer"
    )


def test_the_log_names_the_device_of_a_failure() -> None:
    """A line about a device is of no use without its name; one that names the step already does so once."""
    lines = [LogLine(seq=1, at=at(1), text="activate failed (no answer)", device_id="k1-0")]
    board = board_of(pending(1).model_copy(update={"log": lines}))
    assert list(board.tail) == ["20:15:31 k1-0 activate failed (no answer)"]
    failed = step("activate", 0, 1, "failed", detail="activate failed (no answer)")
    told = board.take_change(change("activating", device_id="k1-0", outcome="failed", step=failed))
    assert told[-1] == "20:15:31 k1-0 activate failed (no answer)"
    assert "Night Drive version 3" in shown(board)


def test_whom_it_waits_for_is_said() -> None:
    """While it is queued behind another."""
    board = board_of(view([], "queued", 1, waits_for=[DEPLOYMENT]))
    assert f"waits for {DEPLOYMENT}" in shown(board)
