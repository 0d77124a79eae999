"""Where the music starts: the first true frame and the encoder's delay, with any bytes around them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from libs.audio.tests import files

TELLING = ("mp3", "mp3 48 kHz", "mp3 22 kHz", "m4a", "alac", "flac", "opus", "vorbis", "aiff", "adpcm")
MOST_MS = 2.0


@pytest.mark.parametrize("kind", files.ENCODERS)
def test_the_music_starts_where_it_was_recorded(tmp_path: Path, kind: str) -> None:
    """Within 2 ms if the file declares its start; otherwise within the given bound."""
    found, reader = files.decoded(tmp_path / "song", files.encoded(kind))
    off = files.offset_ms(found)
    assert (reader.start.bound_ms is None) == (kind in TELLING or kind == "ima adpcm")
    assert abs(off) <= (reader.start.bound_ms or MOST_MS)


MAGICS = (
    b"fLaC",
    b"fLaC\0\0\0\x22",
    b"fLaCfLaC",
    b"OggS",
    b"OggS\0\2",
    b"RIFF",
    b"RIFF\0\0\0\0WAVE",
    b"RIFF\0\0\0\0WAVEfmt ",
    b"FORM",
    b"FORM\0\0\0\0AIFF",
    b"\0\0\0\0ftyp",
    b"\0\0\0\x18ftypM4A ",
    b"\xff\xf1",
    b"\xff\xf9\x50\x80",
    b"\xff\xfb\x90\0",
    b"PK\x03\x04",
    b"\x1a\x45\xdf\xa3",
    b"\x30\x26\xb2\x75",
    b"%PDF",
    b"\x7fELF",
    b"MThd",
    b"ID3",
    b"APETAGEX",
    b"ICY ",
)
"""Beginnings of files, without what follows them in such a file."""


@pytest.mark.parametrize("tag", [b"", files.id3(300)], ids=["no tag", "tag"])
@pytest.mark.parametrize("magic", MAGICS)
@pytest.mark.parametrize("kind", ["mp3", "mp2", "flac"])
def test_a_magic_right_before_the_music_moves_nothing(
    tmp_path: Path, kind: str, magic: bytes, tag: bytes
) -> None:
    """The same music is decoded as without it, from the true start."""
    plain, _ = files.decoded(tmp_path / "plain", files.encoded(kind))
    found, reader = files.decoded(tmp_path / "song", tag + magic + files.encoded(kind))
    assert reader.survey.kind == kind
    assert found.tolist() == plain.tolist()
    assert not reader.losses.packets


@st.composite
def leading_tags(draw: st.DrawFn) -> tuple[bytes, bool]:
    """A tag or none, and whether its header has its true size."""
    size = draw(st.integers(0, 3000))
    claimed = draw(st.sampled_from([size, size, size // 2, size + 900, 200_000_000]))
    tag = draw(st.sampled_from([b"", files.id3(size), files.id3(size, claimed), files.id3() * 2]))
    return tag, tag != files.id3(size, claimed) or size == claimed


noises = st.one_of(
    st.integers(0, 5000).map(bytes),
    st.binary(max_size=3000),
    st.sampled_from([b"\r\n", b"ICY 200 OK\r\nicy-name: radio\r\n\r\n", b"\xff" * 500, b"", *MAGICS]),
    st.binary(min_size=30, max_size=60).map(lambda noise: (b"\xff\xfb\x90" + noise) * 20),
)


@pytest.mark.parametrize("kind", ["mp3", "flac"])
@settings(
    max_examples=settings().max_examples // 2, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(leading_tags(), noises, st.sampled_from([b"", b"TAG" + bytes(125), files.id3(300), b"\0" * 400]))
@example((b"", True), b"fLaC", b"")
@example((b"", True), b"fLaC\0\0\0\x22", b"")
def test_bytes_around_the_music_move_nothing(
    tmp_path: Path, kind: str, leading: tuple[bytes, bool], noise: bytes, behind: bytes
) -> None:
    """Tags of true and of wrong size, zeros, text, noise, magics and false sync words, before and after."""
    tag, is_true = leading
    if kind == "flac" and not is_true:
        tag = b""  # a tag of wrong size hides all but frames that prove themselves
    found, reader = files.decoded(tmp_path / "song", tag + noise + files.encoded(kind) + behind)
    assert abs(files.offset_ms(found)) <= MOST_MS
    assert reader.start.bound_ms is None
    assert not reader.losses.packets


@pytest.mark.parametrize(
    ("field", "exact"),
    [
        pytest.param(b"\xff\xff\xff", False, id="a delay of ones"),
        pytest.param(b"\x77\x12\x34", False, id="another delay without its check sum"),
        pytest.param(b"\0\0\0", False, id="no delay"),
        pytest.param(b"\x24\x0f\xff", True, id="the usual delay, edited padding"),
    ],
)
def test_an_impossible_tag_is_ignored(tmp_path: Path, field: bytes, exact: bool) -> None:
    """The usual delay is used instead, and the reason says that it is a guess."""
    content = bytearray(files.encoded("mp3"))
    at = files.info_at(content) + 21
    content[at : at + 3] = field
    found, reader = files.decoded(tmp_path / "song.mp3", bytes(content))
    assert abs(files.offset_ms(found)) <= MOST_MS
    assert (reader.start.bound_ms is None) == exact


@pytest.mark.parametrize("count", [1, 40, 100_000])
def test_a_wrong_count_of_frames_cuts_nothing(tmp_path: Path, count: int) -> None:
    """Every frame is decoded at its time, the last ones too."""
    content = bytearray(files.encoded("mp3"))
    at = max(content.find(b"Xing"), content.find(b"Info"))
    content[at + 8 : at + 12] = count.to_bytes(4, "big")
    found, reader = files.decoded(tmp_path / "song.mp3", bytes(content))
    half = len(files.clicks()) // 2
    assert abs(files.offset_ms(found[half:], files.clicks()[half:])) <= MOST_MS
    assert len(found) >= len(files.clicks())
    assert not reader.stream_info.exact


def test_a_file_without_a_tag_has_a_bound(tmp_path: Path) -> None:
    """LAME's delay is removed; other encoders stay within the bound."""
    found, reader = files.decoded(tmp_path / "song.mp3", files.without_tag_frame(files.encoded("mp3")))
    assert abs(files.offset_ms(found)) <= MOST_MS
    assert reader.start.bound_ms is not None
    assert reader.start.bound_ms >= 25


def test_a_recording_of_a_stream_starts_at_its_first_whole_frame(tmp_path: Path) -> None:
    """Cut in the middle of a frame: all later frames are decoded, and there is a bound."""
    content = files.without_tag_frame(files.encoded("mp3"))
    found, reader = files.decoded(tmp_path / "song.mp3", content[3000:])
    cut_ms = 1000 * 1105 / files.RATE - files.offset_ms(found)
    frame_ms = 1000 * 1152 / files.RATE
    assert cut_ms == pytest.approx(frame_ms * round(cut_ms / frame_ms), abs=MOST_MS)
    assert cut_ms > frame_ms
    assert reader.start.bound_ms is not None


def test_lost_frames_leave_silence_behind(tmp_path: Path) -> None:
    """Silence fills the lost frames of a damaged container, so that the music after them keeps its time."""
    content = bytearray(files.encoded("vorbis"))
    pages = [at for at in range(len(content)) if content[at : at + 4] == b"OggS"]
    middle = pages[len(pages) // 2]
    content[middle + 60 : middle + 100] = bytes(40)
    found, reader = files.decoded(tmp_path / "song.ogg", bytes(content))
    assert reader.losses.seconds > 0.05
    last = len(files.clicks()) * 3 // 4
    assert abs(files.offset_ms(found[last:], files.clicks()[last:])) <= MOST_MS
    assert np.isfinite(found).all()
