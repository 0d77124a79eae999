"""Tests the pure parts: clock, versions, sensors, keys and the checks of bundles."""

import random
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_contracts.messages.telemetry import TelemetrySample
from k1_graph.bundle.container import read_bundle
from k1_simulator.factory_bundle import factory_bundle
from k1_simulator.faults.models import DriftRamp, DriftSpot, LowFps, Overheat
from k1_simulator.playback.clock import DeviceClock
from k1_simulator.playback.sensors import ActiveFault, Sensors
from k1_simulator.profile import Profile
from k1_simulator.state_machine.keys import KeysRejectedError, public_keys, read_keys
from k1_simulator.verification import StageError, check_fits, check_signature
from simulator.tests.shows import KEY, STRANGER, bundle, held, kid, x

PLAYING = held(3)
TRUSTED = {kid(KEY): x(KEY)}
TIMES = st.floats(0, 1e6)


@given(started=TIMES, seed=st.integers(), later=st.floats(0, 1e5))
def test_a_clock_converts_in_both_directions(started: float, seed: int, later: float) -> None:
    """`when` is the inverse of `show`, to a microsecond."""
    clock = DeviceClock.random_clock(random.Random(seed), started)
    assert clock.when(clock.show(started + later)) == pytest.approx(started + later, abs=1e-6)


@given(seed=st.integers())
def test_a_clock_is_nearly_accurate(seed: int) -> None:
    """A minute is accurate to 20 millionths."""
    clock = DeviceClock.random_clock(random.Random(seed), 0.0)
    assert clock.show(60.0) - clock.show(0.0) == pytest.approx(60_000.0, abs=1.21)


def test_the_same_seed_gives_the_same_readings() -> None:
    """Readings are repeatable, and their numbers rise by one."""

    def read(seed: int) -> list[TelemetrySample]:
        sensors = Sensors(random.Random(seed))
        return [sensors.read(100.0 * n, PLAYING) for n in range(50)]

    assert read(1) == read(1)
    assert read(1) != read(2)
    assert [reading.seq for reading in read(1)] == list(range(50))


@given(seed=st.integers(), playing=st.booleans())
def test_a_healthy_device_raises_no_alarm(seed: int, playing: bool) -> None:
    """For ten minutes drift is below 20 ms, the temperature below 80 degrees, and there are at least 24 frames."""
    sensors = Sensors(random.Random(seed))
    readings = [sensors.read(100.0 * n, PLAYING if playing else None) for n in range(600)]
    assert max(abs(reading.drift_ms) for reading in readings) < 20
    assert max(reading.temp_c for reading in readings) < 80
    assert min(reading.fps for reading in readings) >= 24


def test_telemetry_faults_show_in_the_readings() -> None:
    """They show from their start, up to their limit."""
    sensors = Sensors(random.Random(1))
    wrong = [
        ActiveFault(DriftRamp(fault="drift_ramp", ms_per_s=50, limit_ms=150, after_s=1), 0.0),
        ActiveFault(Overheat(fault="overheat", degrees_per_s=10, limit_c=90, after_s=1), 0.0),
        ActiveFault(LowFps(fault="low_fps", fps=12, after_s=1), 0.0),
    ]
    before = sensors.read(900.0, PLAYING, wrong=wrong)
    after = [sensors.read(1000.0 * n, PLAYING, wrong=wrong) for n in range(2, 9)]
    assert abs(before.drift_ms) < 20
    assert before.fps > 24
    assert before.error is None
    assert after[-1].drift_ms == pytest.approx(150, abs=20)
    assert after[0].drift_ms == pytest.approx(50, abs=20)
    assert after[-1].temp_c == pytest.approx(90, abs=0.5)
    assert after[-1].error == "overheated"
    assert after[-1].fps == pytest.approx(12, abs=3)


def test_a_drift_spot_shows_at_its_place_in_the_song_only() -> None:
    """The drift is there from its beginning to its end, and nowhere while the position is not known."""
    sensors = Sensors(random.Random(1))
    wrong = [ActiveFault(DriftSpot(fault="drift_spot", from_ms=2000, to_ms=4000, drift_ms=80), -1.0)]
    positions = [None, 0.0, 1999.9, 2000.0, 3999.9, 4000.0]
    readings = [sensors.read(100.0 * n, PLAYING, at, wrong) for n, at in enumerate(positions)]
    assert [reading.drift_ms > 40 for reading in readings] == [False, False, False, True, True, False]
    assert [reading.position_ms for reading in readings] == positions
    assert {reading.version for reading in readings} == {PLAYING.version}


@given(st.text(max_size=300))
def test_any_text_is_a_set_of_keys_or_a_clear_error(text: str) -> None:
    """No other exception is raised."""
    with suppress(KeysRejectedError):
        read_keys(text)


def test_a_signed_bundle_is_accepted_and_others_are_refused() -> None:
    """The code distinguishes an unknown key from a wrong signature."""
    assert check_signature(bundle(1).data, TRUSTED).manifest.track_version == 1
    with pytest.raises(StageError) as unknown:
        check_signature(bundle(1, STRANGER).data, TRUSTED)
    assert unknown.value.code == "unknown_key"
    assert kid(STRANGER) in str(unknown.value)
    damaged = bytearray(bundle(1).data)
    damaged[-1] ^= 1
    with pytest.raises(StageError) as wrong:
        check_signature(bytes(damaged), TRUSTED)
    assert wrong.value.code == "bad_signature"


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_as_a_bundle(data: bytes) -> None:
    """No other exception is raised."""
    with pytest.raises(StageError):
        check_signature(data, TRUSTED)


def test_a_device_accepts_only_what_it_can_run() -> None:
    """It needs new enough firmware and all node types; the reason names what is missing."""
    manifest = bundle(1).manifest
    check_fits(manifest, Profile())
    with pytest.raises(StageError, match=r"firmware 1\.0\.0, this is 0\.9\.9") as old:
        check_fits(manifest, Profile(firmware="0.9.9"))
    assert old.value.code == "firmware_too_old"
    known = tuple(node for node in Profile().node_types if node != manifest.required_nodes[0])
    with pytest.raises(StageError, match=manifest.required_nodes[0]) as missing:
        check_fits(manifest, Profile(node_types=known))
    assert missing.value.code == "missing_nodes"
    with pytest.raises(StageError, match="no version"):
        check_fits(manifest.model_copy(update={"firmware_min_version": "two"}), Profile())


def test_a_factory_bundle_can_be_played() -> None:
    """It is a normal bundle, and depends only on the seed."""
    data = factory_bundle(3)
    assert data == factory_bundle(3)
    with pytest.raises(StageError) as stranger:
        check_signature(data, TRUSTED)
    assert stranger.value.code == "unknown_key"
    assert read_bundle(bundle(1).data, public_keys(TRUSTED)).graph.nodes
