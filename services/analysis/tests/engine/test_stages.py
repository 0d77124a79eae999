"""Each stage of the engine alone, with many inputs."""

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mir_eval.beat
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from k1_analysis.engine import Analysis
from k1_analysis.engine import testing as songs
from k1_analysis.engine.audio import framing, tonal
from k1_analysis.engine.audio.features import extract, log_spectrogram
from k1_analysis.engine.beats import level_consistency, refinement, tempo_grid
from k1_analysis.engine.beats.agreement import committee, scores
from k1_analysis.engine.beats.trackers import activation, forked_process, viterbi
from k1_analysis.engine.beats.trackers.activation import default_net
from k1_analysis.engine.beats.trackers.activation_onnx import OnnxBeatNet
from k1_analysis.engine.output.genesis_map import beat_milliseconds, milliseconds, with_map_hash
from k1_analysis.engine.output.rendering import plot_map, render_clicks, write_beats
from k1_analysis.engine.presets import find_preset, presets
from k1_analysis.engine.structure import sections
from k1_analysis.engine.structure.bars import Bars
from k1_contracts.genesis import GenesisMap
from tests.support.processes import is_alive
from tests.support.waiting import PATIENCE_S, wait_until

beat_lists = st.lists(st.floats(0.3, 1.2), min_size=4, max_size=60).map(np.cumsum)


@given(beat_lists, beat_lists)
@settings(max_examples=60)
def test_agreement_equals_mir_eval(reference: np.ndarray, estimate: np.ndarray) -> None:
    """F-measure and Cemgil's score equal mir_eval's on any two sequences."""
    distances = np.abs(reference[:, None] - estimate)
    assume((np.abs(distances - scores.MATCH_WINDOW_S) > 1e-9).all())  # on its very edge rounding decides
    assert scores.f_measure(reference, estimate) == pytest.approx(
        mir_eval.beat.f_measure(reference, estimate), abs=1e-9
    )
    assert scores.cemgil(reference, estimate) == pytest.approx(
        min(1.0, mir_eval.beat.cemgil(reference, estimate)[0]), abs=1e-9
    )


@given(st.floats(0.3, 1.0), st.floats(-0.02, 0.02), st.integers(0, 1000))
@settings(max_examples=30)
def test_gain_and_continuity_agree_with_mir_eval(period: float, shift: float, seed: int) -> None:
    """On a jittered copy of a sequence, as trackers give, the other scores agree with mir_eval too.

    An error at the edge of a bin of the histogram may be in the next one, and with 34 beats that is .03 of the gain.
    """
    reference = np.arange(6.0, 40.0, period)
    estimate = np.sort(reference + shift + np.random.default_rng(seed).normal(0, 0.01, len(reference)))
    ours = scores.compare(reference, estimate)
    theirs = mir_eval.beat.continuity(reference, estimate)
    assert (ours.cml_c, ours.cml_t, ours.aml_c, ours.aml_t) == pytest.approx(theirs, abs=0.06)
    assert ours.information_gain == pytest.approx(
        mir_eval.beat.information_gain(reference, estimate), abs=0.05
    )


@given(st.floats(0.3, 1.0), st.floats(0, 2), st.sets(st.integers(0, 59), max_size=8), st.integers(0, 99))
@settings(max_examples=50)
def test_grid_survives_missing_and_jittered_beats(
    period: float, start: float, missing: set[int], seed: int
) -> None:
    """The period is within 0.1 %, although some beats are missing and all have errors of milliseconds."""
    kept = [index for index in range(60) if index not in missing]
    jitter = np.random.default_rng(seed).normal(0, 0.004, len(kept))
    found = tempo_grid.fit_grid(np.sort(start + period * np.array(kept) + jitter))
    assert found is not None
    assert found.period_s == pytest.approx(period, rel=1e-3)
    times = found.times(start, start + 59 * period)
    assert len(times) in {59, 60, 61}
    assert np.diff(times)[1:] == pytest.approx(found.period_s)


def _pulses(frames_s: np.ndarray, peaks_s: np.ndarray, *, width_s: float) -> NDArray[np.float32]:
    """Return an activation with a bell of this width at each peak."""
    bells = (np.exp(-(((frames_s - peak_s) / width_s) ** 2)) for peak_s in peaks_s)
    return sum(bells, np.zeros(len(frames_s))).astype(np.float32)


def test_beats_move_to_the_peak_of_the_activation() -> None:
    """A bowed note starts slowly, which the network has learned: its peak, not the onset's, gives the time."""
    rng = np.random.default_rng(5)
    beats = np.arange(2.0, 20.0, 0.5)
    frames = np.arange(2200) / 100
    activation = _pulses(frames, beats, width_s=0.02)
    late = _pulses(frames, beats + 0.025, width_s=0.02)
    silent = np.zeros_like(activation)
    attacks = np.zeros(6600, np.float32)
    rough = beats + rng.uniform(-0.01, 0.01, len(beats))
    assert refinement.refine(rough, activation, late, attacks) == pytest.approx(beats, abs=0.002)
    assert refinement.refine(beats, silent, late, attacks) == pytest.approx(beats + 0.025, abs=0.002)
    assert refinement.refine(rough, silent, silent, attacks) == pytest.approx(rough)


@pytest.mark.parametrize(("slow_s", "interval_s"), [(30.0, 0.72), (10.0, 0.36)])
def test_song_keeps_to_one_metrical_level(slow_s: float, interval_s: float) -> None:
    """Half tempo for half the song holds for all of it; a short half-time break changes nothing."""
    fast = np.arange(0.5, 60, 0.36)
    pulses = fast[(fast < 60 - slow_s) | (np.arange(len(fast)) % 2 == 0)]
    frames = np.arange(6000) / 100
    activation = _pulses(frames, pulses, width_s=0.015)
    model = viterbi.TempoModel(lowest_bpm=55, highest_bpm=190, inertia=200)
    free = viterbi.track_beats(activation, model)
    assert np.ptp(np.diff(free)) > 0.3
    intervals = np.diff(level_consistency.keep_one_level(free, activation, model.inertia))
    assert intervals == pytest.approx(interval_s, rel=0.1)


def test_grid_is_refused_where_the_tempo_drifts() -> None:
    """A drummer's drift of some per cent gives no constant grid."""
    assert tempo_grid.fit_grid(np.cumsum(60 / (120 + 6 * np.sin(np.arange(80) / 12)))) is None


def test_grid_is_refused_where_sure_beats_leave_it_for_a_while() -> None:
    """Sixteen beats 40 ms late are a drift if their activation is high; otherwise the tracker erred."""
    beats: framing.Seconds = 0.5 * np.arange(120, dtype=np.float64)
    beats[60:84] += 0.04
    found = tempo_grid.fit_grid(beats)
    assert found is not None
    assert found.drifts(beats, np.ones(120, bool))
    assert not found.drifts(beats, (np.arange(120) < 60) | (np.arange(120) >= 84))
    assert not found.drifts(beats[:70], np.ones(70, bool))


@given(st.lists(st.floats(-1, 100), max_size=80))
def test_sorted_beats_always_rise(times: list[float]) -> None:
    """Beats are in order, apart from each other, and not before zero."""
    beats = refinement.sorted_beats(np.array(times))
    assert (beats >= 0).all()
    assert (np.diff(beats) >= 0.05 - 1e-9).all()
    assert len(set(beat_milliseconds(beats))) == len(beats)


@given(st.lists(st.floats(0, 1, width=32), max_size=300))
@settings(max_examples=40)
def test_decoder_gives_plausible_beats_for_any_activation(activation: list[float]) -> None:
    """No two beats are closer than the fastest or farther than the slowest tempo allows."""
    model = viterbi.TempoModel(lowest_bpm=60, highest_bpm=180, inertia=100, tempi=20)
    beats = viterbi.track_beats(np.array(activation, np.float32), model)
    gaps = np.diff(beats)
    assert (gaps >= 0.33 - 1e-9).all()
    assert (gaps <= 1.0 + 1e-9).all()


@given(
    st.lists(st.floats(-6, 6), max_size=120),
    st.lists(st.integers(2, 40), min_size=1, max_size=6, unique=True),
)
@settings(max_examples=60)
def test_decoder_finds_the_path_that_a_search_frame_by_frame_finds(
    gain: list[float], intervals: list[int]
) -> None:
    """Scoring many frames at once changes the speed, not the path."""
    frames = np.array(sorted(intervals), np.int64)
    log_transition = np.log(np.random.default_rng(1).dirichlet(np.ones(len(frames)), len(frames)))
    rows = np.array([[max(0, i - 1), min(len(frames), i + 2)] for i in range(len(frames))], np.int64)
    found = viterbi.decode_path(np.array(gain), frames, log_transition, rows)
    assert found.tolist() == best_path(gain, sorted(intervals), log_transition)


def best_path(gain: list[float], intervals: list[int], log_transition: NDArray[np.float64]) -> list[int]:
    """The beats of the best path, state by state: `score[i][k]` is at tempo i, k frames after a beat."""
    score = [[-math.log(interval)] * interval for interval in intervals]
    came_from: list[list[int]] = []
    for now in gain:
        leaving = [states.pop() for states in score]
        near = [range(max(0, i - 1), min(len(intervals), i + 2)) for i in range(len(intervals))]
        came_from.append(
            [max(near[i], key=lambda j: leaving[j] + log_transition[j, i]) for i in range(len(intervals))]
        )
        for i, states in enumerate(score):
            j = came_from[-1][i]
            states.insert(0, leaving[j] + log_transition[j, i])
            for age in range(-(-intervals[i] // viterbi.BEAT_REGION)):
                states[age] += now
    best = max(max(states) for states in score)
    # The earliest of equal beats, as the decoder takes it.
    age, minus_tempo = max(
        (k, -i) for i, states in enumerate(score) for k, at in enumerate(states) if at == best
    )
    tempo, beat, beats = -minus_tempo, len(gain) - 1 - age, list[int]()
    while beat >= 0:
        beats.append(beat)
        tempo = came_from[beat][tempo]
        beat -= intervals[tempo]
    return beats[::-1]


@given(st.lists(st.integers(1, 30_000), min_size=1, max_size=8), st.integers(1, 7))
@settings(max_examples=30)
def test_windows_do_not_depend_on_how_samples_arrive(sizes: list[int], block: int) -> None:
    """Pushed in any pieces, a stream is cut into the same windows as in one."""
    samples = np.random.default_rng(0).normal(size=sum(sizes)).astype(np.float32)
    whole, pieces = framing.FrameCutter(2048, 441, block), framing.FrameCutter(2048, 441, block)
    expected = [*whole.push(samples), *whole.finish()]
    got: list[np.ndarray] = []
    for part in np.split(samples, np.cumsum(sizes)[:-1]):
        got.extend(pieces.push(part))
    got.extend(pieces.finish())
    assert (np.concatenate(got) == np.concatenate(expected)).all()
    assert len(np.concatenate(got)) == 1 + len(samples) // 441


def test_features_have_the_stated_shapes_and_units() -> None:
    """A sine of amplitude 0.5 has that RMS and peak, its centroid and its band."""
    samples = (0.5 * np.sin(2 * np.pi * 1000 * np.arange(3 * songs.RATE) / songs.RATE)).astype(np.float32)
    features = extract(samples)
    middle = slice(5, -5)
    assert features.log_bands.shape == (301, 82)
    assert features.attack.shape == (903,)
    assert features.envelopes.rms[middle] == pytest.approx(0.5 / np.sqrt(2), rel=0.01)
    assert features.envelopes.peak[middle] == pytest.approx(0.5, rel=0.01)
    assert features.envelopes.centroid_hz[middle] == pytest.approx(1000, rel=0.02)
    assert features.envelopes.bands[middle, 1] == pytest.approx(0.5 / np.sqrt(2), rel=0.02)
    assert features.envelopes.bands[middle, 0].max() < 0.01
    assert (features.log_bands == log_spectrogram(samples)).all()


def _sections(samples: np.ndarray, downbeats: np.ndarray) -> list[sections.Section]:
    tones = tonal.TonalExtractor()
    tones.push(samples)
    duration_s = len(samples) / songs.RATE
    return sections.find_sections(extract(samples), tones.finish(), downbeats, duration_s, electronic=True)


def test_section_begins_on_the_bar_where_the_music_changes() -> None:
    """When the cymbals and the snare come in, the boundary is that very downbeat, and there is no other."""
    beats = songs.steady(120.0, 48.0)
    samples = songs.song(beats)
    dull = np.convolve(samples, np.full(60, 1 / 60, np.float32), "same")
    change = int(beats[48] * songs.RATE)
    parts = _sections(np.concatenate([dull[:change], samples[change:]]).astype(np.float32), beats[::4])
    assert [part.start_s for part in parts] == [0.0, pytest.approx(beats[48])]
    assert parts[0].energy < parts[1].energy


def test_the_drop_is_where_the_bass_comes_back() -> None:
    """A riser that grows over eight bars, a bar without bass, the full groove: the drop begins there and not before."""
    beats = songs.steady(120.0, 48.0)
    groove = songs.song(beats)
    time = np.arange(len(groove)) / songs.RATE
    bass = np.where(time < 24, 0.2, 0.3) * np.sin(2 * np.pi * 55 * time)
    noise = np.diff(np.random.default_rng(0).normal(0, 0.3, len(groove) + 1))
    riser = np.where((time > 8) & (time < 24), (time - 8) / 16, 0) * noise
    held_back = (time >= 22) & (time < 24)
    samples = 0.5 * (np.where(held_back, 0, groove + bass) + riser)
    parts = _sections(samples.astype(np.float32), beats[::4])
    assert [part.label for part in parts] == ["intro", "build", "drop"]
    assert parts[-1].start_s == 24.0


def test_unchanging_music_is_one_section() -> None:
    """A groove that only continues has no boundaries, with bars and without."""
    beats = songs.steady(120.0, 40.0)
    samples = songs.song(beats)
    assert len(_sections(samples, beats[::4])) == 1
    assert len(_sections(samples, np.empty(0))) == 1
    assert len(_sections(samples[:2000], np.empty(0))) == 1


@pytest.mark.parametrize("frames", [1, 2, 7, 600])
def test_network_accepts_any_length(frames: int) -> None:
    """Probabilities for every frame, however few."""
    activation = default_net()(np.zeros((frames, 82), np.float32))
    assert activation.shape == (frames, 2)
    assert ((activation > 0) & (activation < 1)).all()


def test_network_computes_a_long_song_as_a_whole() -> None:
    """The output of the segments equals the output for the whole song."""
    net = default_net()
    log_bands = np.random.default_rng(0).uniform(0, 2, (activation._SEGMENT + 3000, 82)).astype(np.float32)
    whole = net._segment(log_bands, activation._song_scale(log_bands), 0, len(log_bands))
    assert net(log_bands) == pytest.approx(whole, abs=1e-6)


@given(st.lists(st.integers(0, 300), max_size=8), st.integers(1, 3))
@settings(max_examples=30)
def test_rows_come_back_as_they_were_appended(sizes: list[int], columns: int) -> None:
    """Whatever the blocks, also beyond the initial capacity."""
    rows = np.arange(sum(sizes) * columns, dtype=np.float32).reshape(-1, columns)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(framing, "_INITIAL_ROWS", 100)
        buffer = framing.RowBuffer(columns)
        for block in np.split(rows, np.cumsum(sizes)):
            buffer.append(block)
    assert buffer.finish().tolist() == rows.tolist()


def test_onnx_runtime_gives_the_same_numbers() -> None:
    """Where it is installed, ONNX Runtime agrees with numpy within rounding."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    log_bands = np.random.default_rng(0).uniform(0, 2, (900, 82)).astype(np.float32)
    assert OnnxBeatNet(default_net())(log_bands) == pytest.approx(default_net()(log_bands), abs=1e-5)


def test_naming_the_engine_is_cheap() -> None:
    """Importing version, configuration or errors loads none of the large libraries."""
    program = (
        "import sys\nfrom k1_analysis.engine import ENGINE, EngineError, Limits, analysis_config, find_preset\n"
        "analysis_config('edm')\n"
        "print(sorted({'av', 'essentia', 'scipy', 'pydantic'} & set(sys.modules)))\n"
        "from k1_analysis.engine import Analysis, analyse_file, warm_up\n"
        "print('scipy' in sys.modules)\n"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert output.stdout.split("\n")[:2] == ["[]", "True"]


def test_committee_follows_the_majority() -> None:
    """Three that agree outweigh one that does not."""
    beats = np.arange(6.0, 60.0, 0.5)
    stray = np.cumsum(np.random.default_rng(3).uniform(0.3, 0.9, 90))
    nothing = np.zeros(6100, np.float32)
    members: dict[committee.MemberName, np.ndarray] = {
        "net": stray,
        "onsets": beats,
        "degara": beats + 0.004,
        "multifeature": beats,
    }
    committee_result = committee.choose_member(members, nothing, {})
    assert committee_result.chosen in {"onsets", "degara", "multifeature"}
    assert committee_result.agreement > committee_result.gain["net"]
    assert committee_result.f_measure["onsets"] > 0.6 > committee_result.f_measure["net"]
    assert committee.choose_member({"net": np.empty(0), "onsets": np.empty(0)}, nothing, {}).chosen is None


def test_activation_weighs_against_the_majority() -> None:
    """Two members on the offbeats agree only with each other; the activation supports the beats of the third."""
    beats = np.arange(6.0, 60.0, 0.5)
    activation = np.zeros(6100, np.float32)
    activation[np.round(beats * 100).astype(int)] = 1
    members: dict[committee.MemberName, np.ndarray] = {
        "onsets": beats,
        "degara": beats + 0.25,
        "multifeature": beats + 0.25,
    }
    assert committee.choose_member(members, np.zeros_like(activation), {}).chosen in {
        "degara",
        "multifeature",
    }
    weak: dict[committee.MemberName, np.ndarray] = {"onsets": beats, "degara": beats + 0.25}
    assert committee.choose_member(weak, activation, {}).chosen == "onsets"


def test_bars_decide_between_members_with_equal_support() -> None:
    """Two members half a beat apart, of which neither the others nor the network know better: bars do."""
    beats = np.arange(6.0, 60.0, 0.5)
    members: dict[committee.MemberName, np.ndarray] = {"onsets": beats, "degara": beats + 0.25}
    for better in members:
        bars: dict[committee.MemberName, float] = {name: 1.0 if name == better else 0.8 for name in members}
        assert committee.choose_member(members, np.zeros(6100, np.float32), bars).chosen == better


def test_every_preset_is_whole() -> None:
    """Six names lead to five presets, and their sections are labels of the map."""
    assert set(presets()) == {"edm", "rock", "orchestral", "jazz", "hiphop"}
    assert find_preset("edm_high_energy") == find_preset("edm")
    for preset in presets().values():
        assert preset.tempo_bpm[1] >= 2 * preset.tempo_bpm[0] * 0.8


@given(st.floats(0, 5000))
def test_milliseconds_have_one_decimal(seconds: float) -> None:
    """Times are within 0.05 ms and have no binary tail."""
    rounded = milliseconds(seconds)
    assert abs(rounded - seconds * 1000) <= 0.05 + 1e-6
    assert rounded == round(rounded, 1)


def test_map_hash_ignores_only_the_timestamp() -> None:
    """The hash changes with the content and not with the timestamp."""

    def digest(name: str, at: str) -> str:
        metadata = {"filename": name, "timestamp_utc": at, "hashes": {"audio_sha256": "a", "map_sha256": ""}}
        return json.loads(with_map_hash({"metadata": metadata, "layers": {}}))["metadata"]["hashes"][
            "map_sha256"
        ]

    assert digest("a", "1") == digest("a", "2") != digest("b", "1")


def test_signature_of_compound_time() -> None:
    """Two beats that divide into three are 6/8; seven beats are 7/8."""
    nothing = np.zeros(0, bool)
    assert Bars(nothing, 7, compound=False, score=0).time_signature == "7/8"
    assert Bars(nothing, 2, compound=True, score=0).time_signature == "6/8"
    assert Bars(nothing, 2, compound=False, score=0).time_signature == "2/4"


def test_forked_process_returns_raises_and_times_out() -> None:
    """A result comes back; an exception, a crash and a hang become one error, and no process stays."""
    with forked_process.ForkedProcess(lambda: list(range(100_000))) as good:
        assert len(good.result(PATIENCE_S)) == 100_000
    with (
        forked_process.ForkedProcess(lambda: 1 // 0) as bad,
        pytest.raises(forked_process.ForkedProcessError, match="ZeroDivision"),
    ):
        bad.result(PATIENCE_S)
    with (
        forked_process.ForkedProcess(lambda: os.kill(os.getpid(), signal.SIGKILL)) as crashed,
        pytest.raises(forked_process.ForkedProcessError, match="died"),
    ):
        crashed.result(PATIENCE_S)
    with (
        forked_process.ForkedProcess(signal.pause) as hung,
        pytest.raises(forked_process.ForkedProcessError, match="within"),
    ):
        hung.result(0.1)
    assert hung.pid is None


def test_a_fork_that_does_not_start_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """One fork may stop at a lock of the parent's threads; if all do, that is an error."""
    original, starts = forked_process._run, 0

    def run_from_the_second(work: Callable[[], object], pipe: int, parent: int) -> None:
        if starts < 2:
            signal.pause()
        original(work, pipe, parent)

    def fork() -> int:
        nonlocal starts
        starts += 1
        monkeypatch.setattr(forked_process, "_START_TIMEOUT_S", PATIENCE_S if starts == 2 else 0.2)
        return original_fork()

    original_fork = os.fork
    monkeypatch.setattr(forked_process, "_run", run_from_the_second)
    monkeypatch.setattr(os, "fork", fork)
    with forked_process.ForkedProcess(lambda: 7) as replaced:
        assert replaced.result(PATIENCE_S) == 7
    assert starts == 2
    starts = -100
    with (
        forked_process.ForkedProcess(lambda: 7) as stuck,
        pytest.raises(forked_process.ForkedProcessError, match="did not start"),
    ):
        stuck.result(PATIENCE_S)
    assert stuck.pid is None


def test_forked_process_dies_with_its_parent() -> None:
    """The fork ends when its parent is killed."""
    program = (
        "import signal\nfrom k1_analysis.engine.beats.trackers.forked_process import ForkedProcess\n"
        "child = ForkedProcess(signal.pause)\nprint(child.pid, flush=True)\nsignal.pause()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    grandchild = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: not is_alive(grandchild), "the fork has ended", interval_s=0.01)


def test_pictures_clicks_and_beats(tmp_path: Path, house: Path, house_analysis: Analysis) -> None:
    """The plot is a PNG whatever the song is called, the clicks a WAV of its length, the beats read back."""
    genesis: GenesisMap = house_analysis.genesis
    odd = genesis.metadata.model_copy(update={"filename": "Ke$ha $\\frac{$ [/x] \x1b[31m \udce9 日本語.wav"})
    plot_map(genesis.model_copy(update={"metadata": odd}), house, tmp_path / "plot.png")
    render_clicks(house, genesis, tmp_path / "clicks.wav")
    write_beats(genesis, tmp_path / "song.beats")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "clicks.wav").stat().st_size == pytest.approx(house.stat().st_size, rel=0.01)
    times, positions = np.loadtxt(tmp_path / "song.beats").T
    assert (times * 1000).tolist() == pytest.approx(genesis.layers.rhythm.beat_grid_ms)
    assert set(positions[4:].astype(int)) == {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("bass_db", "rises_db", "energies", "labels"),
    [
        ((-12, -10, -20, -10), (0, 3, 0, 0), (0.75, 0.89, 0.53, 0.84), "intro drop breakdown drop"),
        ((-12, -10, -20, -10), (3, 0, 3, 0), (0.6, 0.9, 0.4, 0.9), "intro drop build drop"),
        ((-12, -12, -11, -10), (0, 0, 0, 0), (0.8, 0.6, 0.9, 0.85), "section build drop section"),
    ],
    ids=["full opening", "rising parts", "no drop after the opening"],
)
def test_labels_of_an_opening_a_breakdown_and_a_build(
    bass_db: tuple[float, ...], rises_db: tuple[float, ...], energies: tuple[float, ...], labels: str
) -> None:
    """The part before the first drop is an intro, however full; without bass only a rising part is a build."""
    parts = [
        sections._Part(
            16.0 * i, 16.0 * i + 16, (bass, -20, -30), -12, 0.1, rise, False, np.ones(3, np.float32)
        )
        for i, (bass, rise) in enumerate(zip(bass_db, rises_db, strict=True))
    ]
    assert " ".join(sections._labels(parts, list(energies), electronic=True)) == labels
