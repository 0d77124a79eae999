"""Tests the fault file, and which devices have a fault and when."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_simulator.faults.fault_file import FaultFileError, load_faults, parse_faults
from k1_simulator.faults.fault_injector import FaultInjector
from k1_simulator.faults.models import DriftRamp, DropAt, FaultPlan, LowFps, Mute, NoSpace, Offline, Reject
from k1_simulator.identity import device_names

EVERY_KIND = """
faults:
  - {fault: offline, step: start, for_s: 3}
  - {fault: offline, devices: k1-0001, step: activate, for_s: 30, after_s: 0.5, repeat: always}
  - {fault: reject, step: stage, code: no_space}
  - {fault: slow, step: stage, for_s: 2, bytes_per_s: 1000}
  - {fault: mute, step: ping}
  - {fault: lie_success, step: activate}
  - {fault: no_space, devices: ["k1-*", "stage-[ab]"], share: 0.5}
  - {fault: drop_at, byte: 20000, repeat: always}
  - {fault: corrupt}
  - {fault: activate_error}
  - {fault: crash_after_activate, comes_back: old, for_s: 0}
  - {fault: drift_ramp, ms_per_s: -40, after_s: 5}
  - {fault: overheat, step: start}
  - {fault: low_fps, fps: 10}
"""


def test_every_kind_of_fault_can_be_parsed() -> None:
    """Fourteen lines give fourteen faults in their order."""
    plan = parse_faults(EVERY_KIND)
    assert len(plan.faults) == 14
    assert plan.faults[7] == DropAt(fault="drop_at", byte=20000, repeat="always")


def test_an_empty_file_has_no_faults() -> None:
    assert parse_faults("# nothing yet\n") == FaultPlan()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("faults:\n  - {fault: offline,\n     step: stage, for_s: -1}\n", "f.yaml, line 3: faults.0.for_s: "),
        ("faults:\n- fault: mute\n  step: sleep\n", "f.yaml, line 3: faults.0.step: "),
        ("faults:\n- {fault: mute, step: ping}\n- fault: gremlins\n", "f.yaml, line 3: faults.1: "),
        ("faults:\n- {fault: mute, step: ping}\n- {fault: drop_at}\n", "f.yaml, line 3: faults.1.byte: "),
        ("faults:\n- {fault: no_space, shares: 0.5}\n", "f.yaml, line 2: faults.0.shares: "),
        ("faults: 3\n", "f.yaml, line 1: faults: "),
        ("fault: []\n", "f.yaml, line 1: fault: "),
        ("faults: [\n", "f.yaml is no YAML: "),
        ("- 1\n", "f.yaml, line 1: "),
    ],
)
def test_the_error_of_a_wrong_file_names_the_line(text: str, message: str) -> None:
    """It has the file, the line, the field and the reason."""
    with pytest.raises(FaultFileError) as caught:
        parse_faults(text, "f.yaml")
    assert str(caught.value).startswith(message)


def test_all_mistakes_are_reported_at_once() -> None:
    """Each has a line."""
    with pytest.raises(FaultFileError) as caught:
        parse_faults("faults:\n- {fault: drop_at}\n- {fault: low_fps, fps: many}\n")
    assert len(str(caught.value).splitlines()) == 2


def test_an_unreadable_file_is_an_error(tmp_path: Path) -> None:
    """It is missing, or it is not text; the file is named once."""
    absent = tmp_path / "none.yaml"
    with pytest.raises(FaultFileError) as caught:
        load_faults(absent)
    assert str(caught.value) == f"{absent} cannot be read: No such file or directory"
    (tmp_path / "bytes.yaml").write_bytes(b"a: \xff\xfe\x00")
    with pytest.raises(FaultFileError, match=r"bytes\.yaml is not UTF-8 text: byte 3 is 0xff$"):
        load_faults(tmp_path / "bytes.yaml")


@given(st.text(max_size=200))
def test_any_text_is_a_plan_or_a_clear_error(text: str) -> None:
    """No other exception is raised."""
    with suppress(FaultFileError):
        parse_faults(text)


def test_patterns_select_devices() -> None:
    """An id, one pattern or several patterns select devices."""
    plan = parse_faults(EVERY_KIND)
    assert plan.faults[1].matches("k1-0001")
    assert not plan.faults[1].matches("k1-00010")
    assert [d for d in ("k1-7", "stage-a", "stage-c") if plan.faults[6].matches(d)] == ["k1-7", "stage-a"]


@given(seed=st.integers(), share=st.floats(0, 1), count=st.integers(0, 60))
def test_a_share_is_exact_and_the_same_for_the_same_seed(seed: int, share: float, count: int) -> None:
    """The share of the matching devices is rounded and depends only on the seed."""
    ids = device_names("k1", count)
    plan = FaultPlan(faults=[NoSpace(fault="no_space", share=share)])
    given_to = plan.assign(ids, seed)
    assert sum(map(len, given_to.values())) == round(share * count)
    assert given_to == plan.assign(list(reversed(ids)), seed)


def test_another_seed_selects_other_devices() -> None:
    """Two seeds practically never select the same ten of a hundred."""
    plan = FaultPlan(faults=[NoSpace(fault="no_space", share=0.1)])
    ids = device_names("k1", 100)
    chosen = [{one for one, faults in plan.assign(ids, seed).items() if faults} for seed in (1, 2)]
    assert chosen[0] != chosen[1]


def test_once_happens_once_and_always_happens_always() -> None:
    """A fault of `once` is removed when it has happened."""
    box = FaultInjector(
        [Mute(fault="mute", step="ping"), Reject(fault="reject", step="stage", repeat="always")]
    )
    assert [fault.fault for fault in (box.on_command("ping"),) if fault] == ["mute"]
    assert box.on_command("ping") is None
    assert [box.on_command("stage") for _ in range(3)] == [
        Reject(fault="reject", step="stage", repeat="always")
    ] * 3


def test_a_fault_waits_for_its_step() -> None:
    """`no_space` belongs to stage; a fault at the start belongs to no command."""
    box = FaultInjector([Offline(fault="offline", step="start", for_s=1), NoSpace(fault="no_space")])
    assert box.on_command("activate") is None
    assert box.on_command("stage") == NoSpace(fault="no_space")
    assert box.take(Offline, lambda fault: fault.step == "start") is not None


def test_telemetry_faults_start_at_the_start_or_the_activation() -> None:
    """Each starts at its step, those of `once` one time."""
    drift = DriftRamp(fault="drift_ramp")
    slow = LowFps(fault="low_fps", step="start", repeat="always")
    box = FaultInjector([drift, slow])
    assert box.telemetry_faults("activate") == [drift]
    assert box.telemetry_faults("activate") == []
    assert box.telemetry_faults("start") == [slow]
    assert box.telemetry_faults("start") == [slow]
