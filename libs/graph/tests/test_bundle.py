"""bundle.k1b: small, signed, content-addressed, and readable by somebody else's decoder."""

import hashlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import cbor2
import numpy as np
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from k1_contracts.genesis import GenesisMap
from k1_contracts.graph import GraphDocument
from k1_graph.bundle.columns import (
    pack_deltas,
    pack_range,
    pack_times,
    unpack_deltas,
    unpack_range,
    unpack_times,
)
from k1_graph.bundle.container import Bundle, build_bundle, key_id, read_bundle
from k1_graph.bundle.device_map import decode_map, encode_map
from k1_graph.errors import BundleError, GraphInvalidError
from k1_graph.recommendation.recommender import recommend
from k1_graph.testing import synthetic_map

DECODER = Path(__file__).parents[3] / "docs" / "bundle-reference-decoder.py"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
TRUSTED = {key_id(KEY.public_key()): KEY.public_key()}
GENESIS = synthetic_map(20_000.0, bpm=128.0)
GRAPH = recommend(GENESIS, "edm").graph


def bundle_of(genesis: GenesisMap, graph: GraphDocument = GRAPH) -> Bundle:
    return build_bundle(genesis=genesis, graph=graph, track_id="trk_1", track_version=2, key=KEY)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return bundle_of(GENESIS)


@pytest.fixture(scope="module")
def decoder() -> ModuleType:
    """The reference decoder, loaded from the documentation."""
    spec = importlib.util.spec_from_file_location("bundle_reference_decoder", DECODER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def assert_close(before: GenesisMap, after: GenesisMap) -> None:
    """Every number within one quantisation step, everything else the same."""
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    compare(old, new, "")


TIMES = ("time_ms", "start_ms", "end_ms", "beat_grid_ms", "downbeat_ms", "drops")
WIDE = ("tempo_curve", "loudness_lufs", "peaks", "centroid", "flux", "flatness", "rolloff")


def compare(old: Any, new: Any, where: str) -> None:
    if isinstance(old, dict):
        assert set(old) == set(new), where
        for key, value in old.items():
            compare(value, new[key], f"{where}.{key}")
    elif isinstance(old, list):
        assert len(old) == len(new), where
        if where.rsplit(".", maxsplit=1)[-1] in WIDE and old:
            key = next(key for key in old[0] if key != "time_ms")
            column = [point[key] for point in old]
            step = (max(column) - min(column)) / 255 + 1e-9
            assert np.abs(np.array(column) - [point[key] for point in new]).max() <= step, where
            old, new = [p["time_ms"] for p in old], [p["time_ms"] for p in new]
            assert np.abs(np.array(old) - new).max() <= 0.11, where
            return
        for index, (a, b) in enumerate(zip(old, new, strict=True)):
            compare(a, b, f"{where}[{index}]" if isinstance(a, dict | list) else where)
    elif isinstance(old, float) and any(name in where for name in TIMES):
        assert abs(old - new) <= 1.0, where
    elif isinstance(old, float) and "chroma" in where:
        assert abs(old - new) <= 1 / 15, where
    elif isinstance(old, float) and any(
        n in where for n in ("intensity", "strength", "confidence", "energy")
    ):
        assert abs(old - new) <= 1 / 255, where
    else:
        assert old == new, where


def test_a_map_survives_within_one_quantisation_step() -> None:
    """Beats to a millisecond, envelopes to 1/255, the rest exactly."""
    assert_close(GENESIS, decode_map(encode_map(GENESIS)))


def test_unknown_and_optional_fields_survive() -> None:
    """Fields of a newer analysis are carried, and alternatives and confidences are packed too."""
    body = GENESIS.model_dump(mode="json")
    beats = body["layers"]["rhythm"]["beat_grid_ms"]
    body["layers"]["rhythm"]["beat_confidence"] = [0.5] * len(beats)
    body["layers"]["rhythm"]["alternatives"] = [
        {"kind": "half", "bpm": 64.0, "score": 0.4, "beat_grid_ms": beats[::2], "downbeat_ms": beats[::4]},
        {"kind": "other", "source": "degara", "bpm": 64.0, "score": 0.3, "beat_grid_ms": beats[1::2]},
    ]
    body["layers"]["lyrics"] = [{"time_ms": 3.25, "text": "la"}]
    body["metadata"]["mood"] = "bright"
    genesis = GenesisMap.model_validate(body)
    assert_close(genesis, decode_map(encode_map(genesis)))


def test_empty_layers_survive() -> None:
    """A song of silence has a bundle as well."""
    body = GENESIS.model_dump(mode="json")
    body["layers"]["rhythm"] = {"beat_grid_ms": [], "downbeat_ms": [], "beat_strength": [], "tempo_curve": []}
    body["layers"]["frequency"] = {"bass": [], "mids": [], "highs": []}
    body["layers"]["annotations"] = {"sections": [], "drops": [], "silence": []}
    genesis = GenesisMap.model_validate(body)
    assert_close(genesis, decode_map(encode_map(genesis)))


def test_four_minutes_fit_into_50_kilobytes() -> None:
    """This holds with noisy columns, which compress badly, and with every template."""
    genesis = synthetic_map(240_000.0, bpm=174.0, seed=3)
    for preset in ("edm", "rock", "orchestral", "jazz", "hiphop"):
        size = len(bundle_of(genesis, recommend(GENESIS, preset).graph).data)
        assert 5_000 <= size <= 50_000


def test_the_same_content_has_the_same_address(bundle: Bundle) -> None:
    """Two builds give the same bytes; the address is the SHA-256 of the file."""
    assert bundle_of(GENESIS) == bundle
    assert bundle.sha256 == hashlib.sha256(bundle.data).hexdigest()


def test_reading_gives_back_manifest_graph_and_assets(bundle: Bundle) -> None:
    """The graph comes back node by node, without its meta."""
    contents = read_bundle(bundle.data, TRUSTED)
    assert contents.manifest == bundle.manifest
    assert contents.graph == GRAPH.model_copy(update={"meta": None})
    assert contents.manifest.required_nodes == sorted({node.type for node in GRAPH.nodes})
    assert contents.manifest.map_sha256 == GENESIS.metadata.hashes.map_sha256
    with_asset = build_bundle(
        genesis=GENESIS, graph=GRAPH, track_id="t", track_version=1, key=KEY, assets={"logo": b"\x01"}
    )
    assert read_bundle(with_asset.data, TRUSTED).assets == {"logo": b"\x01"}


def test_a_changed_byte_anywhere_is_noticed(bundle: Bundle) -> None:
    """Signature, checksum or frame: a flipped bit is refused wherever it is."""
    places = np.random.default_rng(1).integers(0, len(bundle.data), 150).tolist()
    for place in [0, len(bundle.data) - 1, *places]:
        damaged = bytearray(bundle.data)
        damaged[place] ^= 0x10
        with pytest.raises(BundleError):
            read_bundle(bytes(damaged), TRUSTED)


def test_other_keys_are_not_trusted(bundle: Bundle) -> None:
    """An unknown key is named; a forged manifest under a known key id is refused."""
    with pytest.raises(BundleError, match=bundle.manifest.key_id):
        read_bundle(bundle.data, {})
    other = Ed25519PrivateKey.from_private_bytes(b"x" * 32)
    with pytest.raises(BundleError, match="signature is wrong"):
        read_bundle(bundle.data, {bundle.manifest.key_id: other.public_key()})


@settings(max_examples=100)
@given(st.binary(max_size=64))
def test_noise_is_no_bundle_and_no_map(data: bytes) -> None:
    """Random bytes give BundleError and nothing else."""
    with pytest.raises(BundleError):
        read_bundle(data, TRUSTED)
    with pytest.raises(BundleError):
        decode_map(data)


@pytest.mark.parametrize(
    "data",
    [
        b"\x9f" * 5000,
        b"\x81" * 5000,
        b"\x5b" + b"\xff" * 8,
        b"\xc6" * 900 + b"\x00",
        b"\xd8\x1c\x81\xd8\x1d\x00",
    ],
)
def test_hostile_cbor_is_no_bundle(data: bytes) -> None:
    """Endless nesting, absurd lengths, tags inside tags, cyclic references."""
    with pytest.raises(BundleError):
        read_bundle(data, TRUSTED)


def test_a_graph_with_errors_is_not_bundled() -> None:
    """A graph that a device would reject is not built into a bundle."""
    with pytest.raises(GraphInvalidError):
        bundle_of(GENESIS, GraphDocument(name="empty", nodes=[]))


def test_the_reference_decoder_reads_it(decoder: ModuleType, bundle: Bundle) -> None:
    """Signature, beats, sections and envelopes agree with the map within a quantisation step."""
    manifest, parts = decoder.open_bundle(bundle.data, KEY.public_key().public_bytes_raw())
    assert manifest["checksum_sha256"] == bundle.manifest.checksum_sha256
    player = decoder.Player(parts["map"])
    rhythm = GENESIS.layers.rhythm
    assert np.abs(np.array(player.beats) - rhythm.beat_grid_ms).max() <= 0.5
    assert [rhythm.beat_grid_ms[index] for index in player.downbeats] == rhythm.downbeat_ms
    time_ms, strength, downbeat = player.next_beat(3_000.0)
    index = next(i for i, beat in enumerate(player.beats) if beat >= 3_000.0)
    assert time_ms == player.beats[index]
    assert strength == pytest.approx(rhythm.beat_strength[index], abs=1 / 255)
    assert downbeat == (rhythm.beat_grid_ms[index] in rhythm.downbeat_ms)
    for name, points in (("bass", GENESIS.layers.frequency.bass), ("rms", GENESIS.layers.dynamics.rms)):
        for at in (0.0, 33.0, 4_321.0, 19_999.0, 99_999.0):
            expected = np.interp(at, [p.time_ms for p in points], [p.intensity for p in points])
            assert player.envelope(name, at) == pytest.approx(expected, abs=1 / 255)
    labels = [section.label for section in GENESIS.layers.annotations.sections]
    assert [player.labels[row[2]] for row in player.sections] == labels
    flux = decoder.column_values(decoder.archive(parts["map"])["columns"]["flux"])
    assert len(flux) == len(GENESIS.layers.spectral.flux)


def test_the_reference_decoder_refuses_what_was_changed(decoder: ModuleType, bundle: Bundle) -> None:
    """A changed manifest fails its signature, changed content its checksum."""
    public = KEY.public_key().public_bytes_raw()
    box = cbor2.loads(bundle.data)
    with pytest.raises(InvalidSignature):
        decoder.open_bundle(cbor2.dumps({**box, "manifest": box["manifest"] + b" "}), public)
    with pytest.raises(ValueError, match="checksum"):
        decoder.open_bundle(cbor2.dumps({**box, "graph": box["graph"] + b" "}), public)


def test_the_reference_decoder_is_short_and_runs_from_the_shell(
    decoder: ModuleType, bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has under 150 lines, imports nothing of this project, and prints manifest, beats and sections."""
    source = DECODER.read_text(encoding="utf-8")
    assert len(source.splitlines()) < 150
    assert "k1_" not in source
    path = tmp_path / "show.k1b"
    path.write_bytes(bundle.data)
    decoder.main(str(path), KEY.public_key().public_bytes_raw().hex(), "6100")
    assert "section: drop" in capsys.readouterr().out
    assert "k1_graph" in sys.modules


@given(st.lists(st.integers(0, 2**40), max_size=50).map(sorted))
def test_deltas_round_trip(values: list[int]) -> None:
    """Any ascending whole numbers round-trip."""
    assert unpack_deltas(pack_deltas(values)) == values


@given(st.lists(st.floats(-1e9, 1e9), max_size=50))
def test_ranges_round_trip_within_a_step(values: list[float]) -> None:
    """u8 between the extremes."""
    step = (max(values) - min(values)) / 255 if values else 0.0
    for before, after in zip(values, unpack_range(pack_range(values)), strict=True):
        assert abs(before - after) <= step * 0.51 + 1e-6


@given(st.lists(st.integers(0, 10**8), max_size=40, unique=True).map(sorted))
def test_time_axes_round_trip_to_a_tenth(tenths: list[int]) -> None:
    """Even and uneven axes, to 0.1 ms."""
    times = [tenth / 10 for tenth in tenths]
    for before, after in zip(times, unpack_times(pack_times(times)), strict=True):
        assert abs(before - after) <= 0.11


def test_a_map_of_silence_survives() -> None:
    """Its loudness and peak are null; the decoder must not treat them as missing."""
    genesis = synthetic_map(4_000.0)
    figures = genesis.global_metrics.model_copy(update={"integrated_lufs": None, "true_peak_dbtp": None})
    silent = genesis.model_copy(update={"global_metrics": figures})
    found = decode_map(encode_map(silent)).global_metrics
    assert (found.integrated_lufs, found.true_peak_dbtp) == (None, None)
    assert found.bpm == genesis.global_metrics.bpm
