"""Lengths, streams and odd containers."""

import contextlib
import io
import struct
from contextlib import closing
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from av.stream import Disposition
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from k1_audio.containers import flac
from k1_audio.containers.mpeg_frames import header_at
from k1_audio.containers.ogg import links
from k1_audio.kinds import find_flac, find_kind
from k1_audio.reader import AudioReader, ReadError
from k1_audio.survey import survey_data
from libs.audio.tests import files


@pytest.mark.parametrize("kind", ["adpcm", "ima adpcm", "mp3", "aiff", "flac", "m4a"])
def test_no_whole_file_declares_more_than_it_holds(tmp_path: Path, kind: str) -> None:
    """An exact length equals the decoded length."""
    found, reader = files.decoded(tmp_path / "song", files.encoded(kind))
    declared = reader.stream_info.declared_s
    assert declared is not None
    assert declared == pytest.approx(len(found) / files.RATE, abs=0.05)


def test_bytes_per_second_of_an_adpcm_file_are_ignored(tmp_path: Path) -> None:
    """Some encoders write wrong values there."""
    content = bytearray(files.encoded("adpcm"))
    at = content.index(b"fmt ") + 16
    content[at : at + 4] = struct.pack("<I", 2000)
    _, reader = files.decoded(tmp_path / "song.wav", bytes(content))
    assert reader.stream_info.declared_s == pytest.approx(files.SECONDS, abs=0.05)


@pytest.mark.parametrize("kind", ["mp3", "opus", "adts", "flac", "m4a"])
def test_only_existing_audio_can_be_too_long(tmp_path: Path, kind: str) -> None:
    """A second of padding is accepted, the header alone is not, and a longer file is found without decoding."""
    path = tmp_path / "song"
    path.write_bytes(files.encoded(kind))
    with closing(AudioReader(path)) as reader:
        assert not reader.is_longer_than(files.SECONDS)
        assert reader.is_longer_than(files.SECONDS - 1.5)


def test_a_variable_rate_without_a_count_is_counted(tmp_path: Path) -> None:
    """Silence first makes a guess from the first frames far too long."""
    loud = 0.3 * np.random.default_rng(1).standard_normal(3 * files.RATE)
    music = np.concatenate([np.zeros(2 * files.RATE), loud]).astype(np.float32)
    stream = io.BytesIO()
    with av.open(stream, "w", format="mp3", options={"write_xing": "0", "id3v2_version": "0"}) as output:
        encoder = output.add_stream(
            "libmp3lame", rate=files.RATE, layout="mono", options={"q": "0", "flags": "+qscale"}
        )
        encoder.codec_context.global_quality = 0
        frame = av.AudioFrame.from_ndarray(music[None, :], format="fltp", layout="mono")
        frame.sample_rate = files.RATE
        output.mux(encoder.encode(frame))
        output.mux(encoder.encode(None))
    found, reader = files.decoded(tmp_path / "vbr.mp3", stream.getvalue())
    assert reader.stream_info.declared_s == pytest.approx(5, abs=0.1)
    assert not reader.is_longer_than(5)
    assert len(found) == pytest.approx(5 * files.RATE, abs=2 * 1152)


def test_the_default_of_two_streams_is_read(tmp_path: Path) -> None:
    """Not the first one, which may be silent."""
    path = tmp_path / "two.m4a"
    with av.open(str(path), "w", format="mp4") as output:
        streams = [output.add_stream("aac", rate=files.RATE, layout="mono") for _ in range(2)]
        streams[0].disposition = Disposition(0)
        streams[1].disposition = Disposition.default
        for stream, samples in zip(streams, (0 * files.clicks(), files.clicks()), strict=True):
            frame = av.AudioFrame.from_ndarray(samples[None, :], format="fltp", layout="mono")
            frame.sample_rate = files.RATE
            resampler = av.AudioResampler("fltp", "mono", files.RATE, frame_size=1024)
            for piece in [*resampler.resample(frame), *resampler.resample(None)]:
                output.mux(stream.encode(piece))
            output.mux(stream.encode(None))
    found, reader = files.decoded(path, path.read_bytes())
    assert reader.stream_info.audio_streams == 2
    assert abs(files.offset_ms(found)) < 2


@pytest.mark.parametrize(("first", "second"), [("opus", "opus"), ("vorbis", "opus"), ("opus", "vorbis")])
def test_a_chained_ogg_is_read_to_its_end(tmp_path: Path, first: str, second: str) -> None:
    """Streams one after the other, of one codec or of two."""
    whole = files.encoded(first) + files.encoded(second)
    assert links(whole) == [(0, len(files.encoded(first))), (len(files.encoded(first)), len(whole))]
    found, reader = files.decoded(tmp_path / "chain.ogg", whole)
    assert len(found) == pytest.approx(2 * len(files.clicks()), abs=200)
    assert reader.losses.parts == 0


def test_a_link_that_cannot_be_read_is_counted(tmp_path: Path) -> None:
    """The number of parts that were left out is known."""
    broken = bytearray(files.encoded("opus"))
    broken[28:90] = bytes(62)
    found, reader = files.decoded(tmp_path / "chain.ogg", files.encoded("opus") + bytes(broken))
    assert len(found) == pytest.approx(len(files.clicks()), abs=200)
    assert reader.losses.parts == 1


@pytest.mark.parametrize("magic", [b"OggS", b"OggS\0\2", b"OggSOggS"])
def test_a_magic_before_a_chained_ogg_is_no_page(tmp_path: Path, magic: bytes) -> None:
    """The links are the same, and all of them are read."""
    whole = files.encoded("opus") + files.encoded("vorbis")
    found, reader = files.decoded(tmp_path / "chain.ogg", magic + whole)
    assert len(found) == pytest.approx(2 * len(files.clicks()), abs=200)
    assert (len(reader.survey.parts), reader.losses.parts) == (2, 0)


def test_a_damaged_page_header_hides_no_link() -> None:
    """A wrong version in the first page of the file or of a later link changes no link."""
    first, second = files.encoded("opus"), files.encoded("vorbis")
    for start in (0, len(first)):
        whole = bytearray(first + second)
        whole[start + 4] = 0x82
        assert links(bytes(whole)) == [(0, len(first)), (len(first), len(whole))]


def _flac_head(streaminfo: bytes, *blocks: tuple[int, int]) -> bytes:
    """The magic, STREAMINFO and blocks of (kind, length), the last of them marked as such."""
    head = b"fLaC" + bytes([0 if blocks else 0x80, 0, 0, 34]) + streaminfo
    for number, (kind, length) in enumerate(blocks, 1):
        head += bytes([kind | 0x80 * (number == len(blocks))]) + length.to_bytes(3, "big") + bytes(length)
    return head


STREAMINFO = files.encoded("flac")[8:42]
FRAME = b"\xff\xf8"


def _with(first: int, content: bytes) -> bytes:
    return STREAMINFO[:first] + content + STREAMINFO[first + len(content) :]


@pytest.mark.parametrize(
    ("content", "is_start"),
    [
        pytest.param(files.encoded("flac"), True, id="of an encoder"),
        pytest.param(_flac_head(STREAMINFO) + FRAME, True, id="no other block"),
        pytest.param(_flac_head(STREAMINFO, (4, 40), (6, 300), (1, 0)) + FRAME, True, id="blocks"),
        pytest.param(_flac_head(STREAMINFO, (4, 40)) + b"\xff\xfb", False, id="no frame"),
        pytest.param(_flac_head(STREAMINFO, (127, 40)) + FRAME, False, id="a forbidden block"),
        pytest.param(_flac_head(STREAMINFO, (0, 34)) + FRAME, False, id="a second STREAMINFO"),
        pytest.param(b"fLaC\x04\0\0\x22" + STREAMINFO + FRAME, False, id="another block first"),
        pytest.param(b"fLaC\0\0\0\x21" + STREAMINFO + FRAME, False, id="a wrong length"),
        pytest.param(_flac_head(_with(0, b"\0\x0f")) + FRAME, False, id="too small blocks"),
        pytest.param(_flac_head(_with(0, b"\xff\xff")) + FRAME, False, id="smallest above largest"),
        pytest.param(_flac_head(_with(10, b"\0\0\x0f")) + FRAME, False, id="no rate"),
        pytest.param(_flac_head(_with(12, b"\x42\x0f")) + FRAME, False, id="one bit"),
        pytest.param(_flac_head(_with(4, b"\0\0\2\0\0\1")) + FRAME, False, id="smallest frame above largest"),
    ],
)
def test_a_flac_stream_begins_where_its_blocks_lead_to_a_frame(content: bytes, is_start: bool) -> None:
    """Its magic alone is not enough, and the search goes on behind a false one."""
    assert flac.is_stream(content, 0) == is_start
    music = files.encoded("flac")
    assert find_flac(b"\r\n" + content + music) == (2 if is_start else 2 + len(content))


def test_the_first_bytes_of_a_flac_stream_are_enough() -> None:
    """A long picture may reach beyond the bytes that are there."""
    content = b"\r\n" + _flac_head(STREAMINFO, (4, 40), (6, 300_000)) + FRAME
    assert find_flac(content[:1000]) == 2
    assert find_kind(content[:1000]) == "flac"


@pytest.mark.parametrize("before", [b"", b"\r\n", files.id3(300)])
def test_a_flac_file_with_a_damaged_streaminfo_stays_one(before: bytes) -> None:
    """Nothing else is found, so its magic decides, and libav is given all of the stream."""
    content = bytearray(files.encoded("flac"))
    content[8:12] = bytes(4)
    found = survey_data(before + bytes(content))
    assert (found.kind, found.parts[0].first) == ("flac", len(before))


@pytest.mark.parametrize(("container", "valid"), [(32, 24), (32, 20), (24, 20), (16, 12), (32, 32)])
def test_samples_narrower_than_their_container_are_read_right(
    tmp_path: Path, container: int, valid: int
) -> None:
    """WAVEFORMATEXTENSIBLE with fewer valid bits than the container has."""
    width = container // 8
    scaled = np.round(files.clicks().astype(np.float64) * (2 ** (valid - 1) - 1)).astype("<i8")
    raw = (scaled << (container - valid)).view(np.uint8).reshape(-1, 8)[:, :width].tobytes()
    fmt = struct.pack("<HHIIHH", 0xFFFE, 1, files.RATE, files.RATE * width, width, container)
    fmt += struct.pack("<HHIH", 22, valid, 4, 1) + bytes.fromhex("000000001000800000aa00389b71")
    found, reader = files.decoded(tmp_path / "song.wav", files.riff(fmt, raw))
    assert found == pytest.approx(files.clicks(), abs=2 ** -(valid - 2))
    assert (reader.stream_info.container, reader.stream_info.declared_s) == (
        "wav",
        pytest.approx(files.SECONDS),
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=400),
    st.sampled_from([b"", b"ID3\x03\0\0\0\0\0\x20", b"OggS", b"RIFF\0\0\0\0WAVEfmt ", b"fLaC"]),
)
def test_any_bytes_are_surveyed(tmp_path: Path, noise: bytes, magic: bytes) -> None:
    """A survey never fails, and reading raises nothing but its own error."""
    content = magic + noise
    assert survey_data(content).parts
    assert find_kind(content) in {None, "mp3", "mp2", "wav", "flac", "ogg", "m4a", "aiff", "adts"}
    with contextlib.suppress(ReadError):
        files.decoded(tmp_path / "noise", content)


@given(st.binary(min_size=4, max_size=4))
def test_a_frame_is_longer_than_its_header(header: bytes) -> None:
    """A frame without length would give an endless loop."""
    found = header_at(header, 0)
    assert found is None or 4 < found.length <= 2881


def test_frame_lengths_are_the_standards() -> None:
    """MPEG 1 layer III, 128 kbit/s at 44.1 kHz: 417 bytes, 418 with padding; MPEG 2, 64 kbit/s at 22.05 kHz: 208;
    MPEG 1 layer II, 192 kbit/s at 48 kHz: 576."""
    headers = (b"\xff\xfb\x90\x00", b"\xff\xfb\x92\x00", b"\xff\xf3\x80\x00", b"\xff\xfd\xa4\x00")
    found = [header_at(header, 0) for header in headers]
    assert [header and header.length for header in found] == [417, 418, 208, 576]


def test_a_clock_that_jitters_loses_nothing(tmp_path: Path) -> None:
    """Vorbis counts its long and short blocks unevenly: no silence is put between them."""
    rng = np.random.default_rng(2)
    music = np.zeros(20 * files.RATE, np.float32)
    for at in rng.integers(0, len(music) - 3000, 160):
        music[at : at + 3000] += (0.4 * np.exp(-np.arange(3000) / 300) * rng.standard_normal(3000)).astype(
            np.float32
        )
    content = io.BytesIO()
    soundfile.write(content, music.clip(-1, 1), files.RATE, format="OGG", subtype="VORBIS")
    found, reader = files.decoded(tmp_path / "song.ogg", content.getvalue())
    assert len(found) == len(music)
    assert not reader.losses.seconds
