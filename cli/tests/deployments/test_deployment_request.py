"""Building the body of `POST /deployments` from options."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_cli.deployments.deployment_request import (
    build_request,
    build_strategy,
    check_activation_time,
    parse_downbeat,
    parse_override,
    split_device_ids,
)
from k1_cli.devices.provisioning import build_requests, numbered_ids
from k1_cli.errors import CommandError

_name = st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True)
_word = st.from_regex(r"[a-z_]{1,20}", fullmatch=True)


@given(_word, _name, st.text(min_size=1))
def test_an_override_is_read_back(gate: str, device: str, reason: str) -> None:
    """The first `=` ends the gate: the reason may hold anything."""
    assert parse_override(f"{gate}={reason}") == {"gate": gate, "reason": reason}
    assert parse_override(f"{gate}:{device}={reason}") == {
        "gate": gate,
        "device_id": device,
        "reason": reason,
    }


@pytest.mark.parametrize(
    "text", ["", "firmware", "firmware=", "=because", "firmware:=because", ":k1-1=because"]
)
def test_a_wrong_override_is_explained(text: str) -> None:
    with pytest.raises(CommandError, match="GATE=REASON"):
        parse_override(text)


@given(st.lists(_name))
def test_devices_are_split_at_commas(names: list[str]) -> None:
    """Spaces and empty items are ignored."""
    assert split_device_ids(" , ".join(names) + ",") == names


@pytest.mark.parametrize("text", ["", "trk_1", "trk_1@", "@20:00"])
def test_a_downbeat_has_track_and_time(text: str) -> None:
    assert parse_downbeat("trk_1@2026-05-01T20:00:00Z") == ("trk_1", "2026-05-01T20:00:00Z")
    with pytest.raises(CommandError, match="TRACK@TIME"):
        parse_downbeat(text)


def test_only_what_was_given_is_sent() -> None:
    """Defaults come from the contract only; a count of failures is sent as a number, a share as a text."""
    assert build_strategy(None, None, None, None) == {}
    assert build_strategy(0, 5, "2", 0.0) == {
        "canary": 0,
        "batch_size": 5,
        "max_failures": 2,
        "observe_seconds": 0.0,
    }
    assert build_strategy(None, None, "10%", None) == {"max_failures": "10%"}
    quality = {"max_drift_ms": 20.5, "bars": 8}
    assert build_strategy(None, None, None, None, "20.5/8") == {"quality": quality}


@pytest.mark.parametrize("wrong", ["20", "20/", "/8", "20/8/1", "-1/8", "a/b"])
def test_a_quality_has_a_bound_and_bars(wrong: str) -> None:
    """Anything else is refused with an example."""
    with pytest.raises(CommandError, match=r"--quality: .* write MS/BARS, such as 20/8"):
        build_strategy(None, None, None, None, wrong)


def test_devices_or_a_group() -> None:
    """The body has one of them; it has `dry_run` only where that was given."""
    common = {"strategy": {}, "activation": None, "overrides": ["nodes=I know them"], "requested_by": "ada"}
    some = build_request("trk", 1, device_ids=["a"], group=None, dry_run=False, **common)
    assert some == {
        "track_id": "trk",
        "version": 1,
        "device_ids": ["a"],
        "strategy": {},
        "overrides": [{"gate": "nodes", "reason": "I know them"}],
        "requested_by": "ada",
    }
    group = build_request("trk", 1, device_ids=None, group="stage", dry_run=True, **common)
    assert (group["group"], group["dry_run"], "device_ids" in group) == ("stage", True, False)


@given(st.integers(1, 1200))
def test_numbered_devices_sort_as_they_count(count: int) -> None:
    """Numbers have leading zeros, and each id is unique."""
    names = numbered_ids("k1-", count)
    assert sorted(names) == names
    assert len(set(names)) == count
    assert {len(name) for name in names} == {len(names[0])}


@given(st.lists(_name, min_size=1, max_size=350))
def test_no_device_is_left_out(names: list[str]) -> None:
    """Each request has at most a hundred devices, in order."""
    parts = build_requests(names, mqtt=True, group=None, renew=False)
    assert [name for part in parts for name in part.device_ids] == names
    assert max(len(part.device_ids) for part in parts) <= 100


def test_a_wrong_name_is_named() -> None:
    with pytest.raises(CommandError, match="k1 a is no name"):
        build_requests(["k1-1", "k1 a"], mqtt=False, group=None, renew=False)


def test_max_failures_is_a_count_or_a_share() -> None:
    """Anything else is refused with the name of the option."""
    for wrong in ("x", "101%", "-1", "1.5", ""):
        with pytest.raises(CommandError, match=r"--max-failures: .*neither a count such as 2 nor a share"):
            build_strategy(None, None, wrong, None)


NOW = datetime(2026, 5, 1, 20, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-05-01T20:00:01Z", "2026-05-01T22:00:01+02:00", "2031-01-01T00:00Z"])
def test_a_future_activation_time_is_accepted(text: str) -> None:
    assert check_activation_time(text, NOW) == text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("2026-05-01T20:00:00Z", "is past, now it is 2026-05-01T20:00:00Z; without --at it starts at once"),
        ("2026-05-01T21:59:59+02:00", "is past"),
        ("2031-01-01T00:00:00", "in which time zone; write it as 2026-05-01T20:05:00Z"),
        ("tomorrow", "is no time; write it as 2026-05-01T20:05:00Z"),
    ],
)
def test_a_wrong_activation_time_is_refused(text: str, sentence: str) -> None:
    """A past time would start the deployment at once, when the stage does not expect it."""
    with pytest.raises(CommandError) as refused:
        check_activation_time(text, NOW)
    assert str(refused.value).startswith(f"--at: {text} ")
    assert sentence in str(refused.value)
