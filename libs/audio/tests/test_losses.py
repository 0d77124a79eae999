"""Losses by damage are counted, and nothing else is."""

import io
import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from k1_audio.encoder_delay import has_delay
from k1_audio.reader import AudioReader, ReadError
from libs.audio.tests import files

LONG = np.tile(files.clicks(), 8)
LONG_S = len(LONG) / files.RATE


def _soundfile(kind: str, subtype: str, level: float) -> bytearray:
    content = io.BytesIO()
    soundfile.write(content, LONG, files.RATE, format=kind, subtype=subtype, compression_level=level)
    return bytearray(content.getvalue())


def test_a_hole_that_ends_an_ogg_stream_is_a_loss(tmp_path: Path) -> None:
    """The reader stops at a hole of 64 KiB; the clock of the last page gives the length after it."""
    content = _soundfile("OGG", "VORBIS", 0.0)
    start = len(content) // 2
    content[start : start + 70_000] = bytes(70_000)
    found, reader = files.decoded(tmp_path / "song.ogg", bytes(content))
    assert len(found) / files.RATE + reader.losses.seconds == pytest.approx(LONG_S, abs=0.1)
    assert reader.losses.seconds > 5


def test_refused_packets_at_the_end_are_a_loss(tmp_path: Path) -> None:
    """No frame follows them that would show the gap."""
    content = bytearray(files.encode(LONG, "ipod", "alac"))
    begin = content.index(b"mdat") + 4
    size = int.from_bytes(content[begin - 8 : begin - 4], "big") - 8
    content[begin + size // 2 : begin + size] = bytes([0xFF]) * (size - size // 2)
    _, reader = files.decoded(tmp_path / "song.m4a", bytes(content))
    assert reader.losses.seconds == pytest.approx(LONG_S / 2, abs=2)


def test_single_short_frames_that_are_lost_keep_the_rest_in_its_place(tmp_path: Path) -> None:
    """A frame of 26 ms is a small gap, and a hundred of them move the beats by seconds."""
    content = _soundfile("FLAC", "PCM_16", 0.0)
    headers = [match.start() for match in re.finditer(rb"\xff[\xf8\xf9]", content)]
    for at in headers[10:-10:20]:
        content[at : at + 8] = bytes(8)
    found, reader = files.decoded(tmp_path / "song.flac", bytes(content))
    assert len(found) == pytest.approx(len(LONG), abs=2 * 4608)
    assert reader.losses.seconds > 0.5
    assert not reader.losses.shift_s


@pytest.mark.parametrize("second", ["mp3", "mp3 48 kHz", "mp3 22 kHz"])
def test_joined_songs_are_read_to_the_end(tmp_path: Path, second: str) -> None:
    """Also where the second has another rate, and the first one's count of frames is right for itself."""
    found, reader = files.decoded(tmp_path / "song.mp3", files.encoded("mp3") + files.encoded(second))
    assert len(found) / reader.stream_info.sample_rate_hz > 1.4 * files.SECONDS
    assert not reader.losses.packets


def test_a_tag_between_joined_songs_is_no_damage(tmp_path: Path) -> None:
    """Files that are joined with `cat` have the second tag between them."""
    tag = b"ID3\x03\0\0\0\0\x01\0" + bytes(128)
    _, reader = files.decoded(tmp_path / "song.mp3", files.encoded("mp3") + tag + files.encoded("mp3"))
    assert (reader.losses.packets, reader.losses.seconds) == (0, 0)


def test_bytes_between_whole_frames_are_no_loss(tmp_path: Path) -> None:
    """All declared frames exist, so nothing is lost, however long the gap is."""
    content = files.encoded("mp3")
    half = len(content) // 2
    _, reader = files.decoded(tmp_path / "song.mp3", content[:half] + bytes(1_500_000) + content[half:])
    assert reader.losses.seconds < 0.1


@pytest.mark.parametrize("name", [b"drms", b"enca"])
def test_a_copy_protected_file_is_named_as_such(tmp_path: Path, name: bytes) -> None:
    """It is neither noise nor damage."""
    path = tmp_path / "song.m4p"
    content = files.encoded("m4a")
    at = content.index(b"mp4a", content.index(b"stsd"))
    path.write_bytes(content[:at] + name + content[at + 4 :])
    with pytest.raises(ReadError, match="copy-protected"):
        AudioReader(path)


def test_a_longer_video_truncates_nothing(tmp_path: Path) -> None:
    """Matroska declares the length of its longest stream, which may be the picture."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        sound = output.add_stream("flac", rate=files.RATE, layout="mono")
        picture = output.add_stream("mpeg4", rate=5, width=16, height=16, pix_fmt="yuv420p")
        frame = av.AudioFrame.from_ndarray((files.clicks()[None, :] * 32767).astype(np.int16), "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = files.RATE, 0, Fraction(1, files.RATE)
        resampler = av.AudioResampler("s16", "mono", files.RATE, frame_size=sound.frame_size)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            output.mux(sound.encode(piece))
        for number in range(60):
            image = av.VideoFrame(16, 16, "yuv420p")
            image.pts, image.time_base = number, Fraction(1, 5)
            output.mux(picture.encode(image))
        output.mux(sound.encode(None))
        output.mux(picture.encode(None))
    found, reader = files.decoded(tmp_path / "song.mkv", file.getvalue())
    assert len(found) == len(files.clicks())
    assert not reader.stream_info.exact


@pytest.mark.parametrize(
    ("codec", "lossy", "delayed"),
    [
        ("flac", False, False),
        ("pcm_alaw", True, False),
        ("adpcm_ms", True, False),
        ("vorbis", True, False),
        ("speex", True, True),
        ("dts", True, True),
        ("some codec of the future", True, True),
    ],
)
def test_a_lossy_codec_has_a_delay_unless_listed(codec: str, lossy: bool, delayed: bool) -> None:
    """A file whose delay is unknown is never called exact."""
    assert has_delay(codec, lossy=lossy) is delayed
