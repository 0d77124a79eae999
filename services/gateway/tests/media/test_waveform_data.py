"""Waveforms: read, downsampled and converted."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_gateway.media.waveform import preferred_type
from k1_gateway.media.waveform_data import Waveform

pairs = st.tuples(st.integers(-128, 127), st.integers(-128, 127)).map(sorted)


def dat(points: list[list[int]], *, samples: int = 210) -> bytes:
    """Return a file as the documentation of audiowaveform describes it."""
    header = struct.pack("<iIiiIi", 2, 1, 44_100, samples, len(points), 1)
    return header + b"".join(struct.pack("bb", *point) for point in points)


@given(points=st.lists(pairs, max_size=60), factor=st.integers(1, 70))
def test_downsampling_keeps_the_extremes(points: list[list[int]], factor: int) -> None:
    """Each new point covers its old ones exactly; the file says how many samples it stands for."""
    reduced = Waveform.parse(dat(points)).downsampled(factor)
    expected = [
        [min(low for low, _ in part), max(high for _, high in part)]
        for part in (points[at : at + factor] for at in range(0, len(points), factor))
    ]
    assert reduced.to_dat() == dat(expected, samples=210 * factor)
    found = json.loads(reduced.to_json())
    assert found["data"] == [value for point in expected for value in point]
    assert (found["length"], found["bits"], found["samples_per_pixel"]) == (len(expected), 8, 210 * factor)


@given(st.floats(0.001, 1000))
def test_at_least_the_requested_points(points_per_s: float) -> None:
    """There are as many points per second as requested, where there are as many."""
    waveform = Waveform.parse(dat([[0, 1]]))
    factor = waveform.factor_for(points_per_s)
    assert 210 / factor >= min(points_per_s, 210) - 1e-9
    assert factor == 1 or 210 / (factor + 1) < points_per_s


@given(st.binary(max_size=60))
def test_any_other_file_is_refused(data: bytes) -> None:
    """Whatever lies in the store, it is a waveform or a ValueError."""
    try:
        assert Waveform.parse(data).to_dat() == data
    except ValueError:
        return


@pytest.mark.parametrize("length", [0, 2, 2**31])
def test_a_false_length_is_refused(length: int) -> None:
    """The header does not decide how much memory is used."""
    with pytest.raises(ValueError, match="long"):
        Waveform.parse(struct.pack("<iIiiIi", 2, 1, 44_100, 210, length, 1) + b"\x00\x01")


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "octet-stream"),
        ("application/json", "json"),
        ("application/json, */*;q=0.1", "json"),
        ("application/octet-stream, application/json;q=0.9", "octet-stream"),
        ("application/*;q=0.5, application/json;q=0.4", "octet-stream"),
        ("text/html", "octet-stream"),
        ("application/json;q=x", "octet-stream"),
        ("", "octet-stream"),
    ],
)
def test_the_preferred_type(accept: str, kind: str) -> None:
    """JSON only where it is preferred."""
    assert preferred_type(accept) == f"application/{kind}"
