"""Tests of packed columns: unpacking gives exactly the JSON that was packed."""

import json

import numpy as np
import pytest
from bson import decode, encode
from hypothesis import given, settings
from hypothesis import strategies as st

from k1_catalogue.maps.packing import expand, pack, unpack
from services.catalogue.tests.song_samples import genesis

NUMBERS = st.one_of(
    st.integers(-(2**62), 2**62),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(10**9), 10**9).map(lambda number: number / 10_000),
    st.integers(0, 10**8).map(lambda number: number / 10),
)
POINTS = st.lists(st.fixed_dictionaries({"time_ms": NUMBERS, "intensity": NUMBERS}), min_size=1)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.text(st.characters(exclude_categories=["Cs"]))),
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(NUMBERS),
        POINTS,
        st.dictionaries(st.text("abc_.$", max_size=5), inner),
    ),
    max_leaves=8,
)


def same(one: object, other: object) -> bool:
    """Return whether two values are equal as JSON: unlike with `==`, True is not 1."""
    return one == other and json.dumps(one, sort_keys=True).count("true") == json.dumps(
        other, sort_keys=True
    ).count("true")


@settings(max_examples=60)
@given(st.dictionaries(st.text("abc", max_size=3), JSON, max_size=3))
def test_any_json_survives(value: dict[str, object]) -> None:
    """Any JSON value, with numbers of any size and points of any form, is unpacked to an equal value."""
    stored = decode(encode({"value": pack(value)}))["value"]
    assert same(value, expand(unpack(stored)))


@pytest.mark.parametrize("decimals", [0, 1, 2, 4, 6])
@given(data=st.data())
def test_rounded_values_survive(decimals: int, data: st.DataObject) -> None:
    """Decimal fractions that are not float32 values are restored by rounding."""
    top = 10 ** (decimals + 4)
    values = [n / 10**decimals for n in data.draw(st.lists(st.integers(-top, top), min_size=1))]
    assert values == expand(unpack(pack(values)))


def test_a_map_survives_and_shrinks() -> None:
    """A packed 4-minute map takes less than a quarter of its JSON, and every value is the same."""
    layers = genesis(240.0)["layers"]
    curves = {name: layer for name, layer in layers.items() if name in {"frequency", "dynamics", "spectral"}}
    packed = pack(curves)
    assert curves == expand(unpack(packed))
    assert 4 * len(encode(packed)) < len(json.dumps(curves))


def test_columns_are_little_endian_float32() -> None:
    """The stored form is as the module's docstring describes it, so that other programs can read it."""
    packed = pack([{"time_ms": 0.0, "intensity": 0.1}, {"time_ms": 50.0, "intensity": 0.25}])
    assert packed["time_ms"] == b"tf0" + np.array([0, 50], "<f4").tobytes()
    assert packed["intensity"] == b"tf2" + np.array([0.1, 0.25], "<f4").tobytes()
