"""The decode probe, on good, unusual and damaged files."""

from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from k1_ingest.audio_checks.audio_info import AudioInfo, ProbeJob
from k1_ingest.audio_checks.container_detection import Container, detect_container
from k1_ingest.audio_checks.decode_probe import ProbeError, probe_file
from services.ingest.tests import songs

MAX_MINUTES = 0.1


def probe(path: Path, data: bytes, container: Container | None = None) -> AudioInfo:
    path.write_bytes(data)
    return probe_file(ProbeJob(str(path), container or detect_container(data), MAX_MINUTES))


@pytest.mark.parametrize(
    ("kind", "codec", "rate"),
    [
        ("mp3", "mp3", 44_100),
        ("mp2", "mp2", 44_100),
        ("aiff", "pcm_s16be", 44_100),
        ("flac", "flac", 44_100),
        ("opus", "opus", 48_000),
        ("vorbis", "vorbis", 44_100),
        ("m4a", "aac", 44_100),
    ],
)
def test_every_format_gives_its_metadata(tmp_path: Path, kind: str, codec: str, rate: int) -> None:
    """Codec, rate, channels and the declared length come from the file itself."""
    info = probe(tmp_path / "song", songs.encoded(kind, 3.0))
    assert (info.codec, info.sample_rate_hz, info.channels) == (codec, rate, 1)
    assert info.declared_ms == pytest.approx(3000, abs=80)


@pytest.mark.parametrize(
    ("shape", "info"),
    [
        ({"width": 1}, AudioInfo("pcm_u8", 44_100, 1, 2000.0)),
        ({"rate": 96_000}, AudioInfo("pcm_s16le", 96_000, 1, 2000.0)),
        ({"channels": 6}, AudioInfo("pcm_s16le", 44_100, 6, 2000.0)),
    ],
)
def test_unusual_waves_are_accepted(tmp_path: Path, shape: dict[str, int], info: AudioInfo) -> None:
    """8 bits, 96 kHz and 6 channels are valid audio."""
    assert probe(tmp_path / "song.wav", songs.wav(2.0, **shape)) == info


def test_a_truncated_file_and_a_wrong_header_are_accepted(tmp_path: Path) -> None:
    """Decodable audio is accepted; the analysis measures the true length and warns."""
    assert probe(tmp_path / "cut.mp3", songs.encoded("mp3", 10.0)[:15_000]).codec == "mp3"
    assert probe(tmp_path / "lie.wav", songs.lying_wav()).channels == 1


def test_a_copy_protected_file_is_rejected_as_such(tmp_path: Path) -> None:
    """The message does not suggest that the file is damaged."""
    data = songs.encoded("m4a", 2.0)
    at = data.index(b"mp4a", data.index(b"stsd"))
    with pytest.raises(ProbeError, match="copy-protected"):
        probe(tmp_path / "song.m4p", data[:at] + b"drms" + data[at + 4 :])


def test_silence_is_accepted(tmp_path: Path) -> None:
    """Silence can be decoded; the analysis reports that it has no beats."""
    silent = songs.wav()[:44] + bytes(2 * songs.RATE * 2)
    assert probe(tmp_path / "silent.wav", silent).declared_ms == 2000


@pytest.mark.parametrize(
    ("data", "container", "code"),
    [
        (songs.wav(1 / songs.RATE), "wav", "too_short"),
        (songs.wav(0.5), "wav", "too_short"),
        (songs.wav(8.0), "wav", "too_long"),
        (songs.encoded("mp3", 8.0), "mp3", "too_long"),
        (songs.encoded("opus", 8.0), "ogg", "too_long"),
        (b"ID3\x04\x00\x00\x00\x00\x00\x10" + b"no audio here, only words. " * 500, "mp3", "decode_failed"),
        (b"fLaC" + bytes(5000), "flac", "decode_failed"),
        (songs.encoded("m4a")[:4000], "m4a", "decode_failed"),
        (songs.encoded("flac"), "mp3", "unsupported_format"),
    ],
)
def test_undecodable_files_are_rejected(tmp_path: Path, data: bytes, container: Container, code: str) -> None:
    """The right first bytes are not enough."""
    with pytest.raises(ProbeError) as refused:
        probe(tmp_path / "song", data, container)
    assert refused.value.code == code


def test_the_padding_of_an_encoder_is_accepted(tmp_path: Path) -> None:
    """A song of exactly the limit is accepted with its padding, and so is one that declares too much."""
    assert probe(tmp_path / "six.mp3", songs.encoded("mp3", 60 * MAX_MINUTES)).codec == "mp3"
    vbr = bytearray(songs.encoded("mp3", 3.0))
    at = max(vbr.find(b"Xing"), vbr.find(b"Info"))
    vbr[at + 8 : at + 12] = (99_999).to_bytes(4, "big")
    assert probe(tmp_path / "stale.mp3", bytes(vbr)).declared_ms == pytest.approx(3000, abs=80)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(songs.KINDS), st.integers(0, 15_000), st.binary(min_size=1, max_size=300))
def test_damaged_files_are_accepted_or_rejected(tmp_path: Path, kind: str, where: int, damage: bytes) -> None:
    """A file with some bytes replaced gives metadata or a rejection with a known code."""
    data = bytearray(songs.encoded_once(kind))
    data[where : where + len(damage)] = damage
    container: Container = "ogg" if kind in {"opus", "vorbis"} else cast("Container", kind)
    try:
        info = probe(tmp_path / "song", bytes(data), container)
    except ProbeError as error:
        code = error.code
    else:
        code = "accepted" if info.sample_rate_hz > 0 and info.channels > 0 else "nonsense"
    assert code in {"accepted", "decode_failed", "unsupported_format", "too_short", "too_long"}
