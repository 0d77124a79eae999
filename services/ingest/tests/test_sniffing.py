"""The container by the first bytes."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_ingest.errors import UploadRefusedError
from k1_ingest.sniffing import HEAD_BYTES, container_of, mp3_frame_bytes
from services.ingest.tests import songs

CONTAINERS = {"mp3": "mp3", "flac": "flac", "opus": "ogg", "vorbis": "ogg", "m4a": "m4a"}


@pytest.mark.parametrize("kind", songs.KINDS)
def test_every_accepted_format_is_known(kind: str) -> None:
    """What real encoders write is recognised by its first bytes, whatever its name."""
    assert container_of(songs.encoded(kind)[:HEAD_BYTES]) == CONTAINERS[kind]


def test_wav_and_its_long_forms_are_known() -> None:
    """RIFF and the 64-bit headers that some recorders write."""
    data = songs.wav(1.0)[:HEAD_BYTES]
    assert {container_of(magic + data[4:]) for magic in (b"RIFF", b"RF64", b"BW64")} == {"wav"}


def test_mp3_is_known_with_and_without_a_tag() -> None:
    """An ID3 tag may be larger than the head, so it is enough by itself; bare frames are followed to the next."""
    bare = songs.encoded("mp3")
    bare = bare[bare.index(b"\xff\xfb") :] if bare.startswith(b"ID3") else bare
    assert container_of(bare[:HEAD_BYTES]) == "mp3"
    assert container_of(b"ID3\x04\x00\x00" + bytes(HEAD_BYTES)) == "mp3"


@pytest.mark.parametrize(
    ("head", "seen"),
    [
        (b"Dear lighting designer,\n" * 20, "text"),
        ("Wörter mit Umlauten ".encode() * 205, "text"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"PK\x03\x04" + bytes(30), "a ZIP archive"),
        (b"\x1a\x45\xdf\xa3" + bytes(30), "a Matroska or WebM file"),
        (b"FORM\x00\x00\x10\x00AIFF", "an AIFF file"),
        (b"RIFF\x00\x00\x10\x00AVI ", "a RIFF file other than WAV"),
        (b"OggS" + bytes(24) + b"\x80theora", "an Ogg file without Vorbis, Opus, FLAC"),
        (b"\x00\x00\x00\x18ftypqt  ", "an MP4 file of the kind 'qt  '"),
        (b"\xff\xf1\x50\x80" + bytes(60), "of an unknown kind (it starts with ff f1 50 80 00 00 00 00)"),
        (bytes(100), "of an unknown kind (it starts with 00 00 00 00 00 00 00 00)"),
    ],
)
def test_a_refusal_says_what_was_seen(head: bytes, seen: str) -> None:
    """The person learns what the file is and what to upload instead."""
    with pytest.raises(UploadRefusedError) as refused:
        container_of(head[:HEAD_BYTES])
    assert refused.value.code == "unsupported_format"
    assert str(refused.value) == f"The file is {seen}; upload an MP3, WAV, FLAC, OGG or M4A file."


@given(st.binary(max_size=200))
def test_any_bytes_are_a_container_or_a_refusal(head: bytes) -> None:
    """Nothing else ever comes out, whatever strangers send."""
    with contextlib.suppress(UploadRefusedError):
        assert container_of(head) in {"mp3", "wav", "flac", "ogg", "m4a"}


@given(st.text(min_size=1))
def test_text_is_never_audio(text: str) -> None:
    """UTF-8 has no byte FF, so text cannot pass for a frame, unless it begins like a tagged file."""
    head = text.encode()
    if not head.startswith((b"ID3", b"fLaC", b"RIFF", b"OggS")) and head[4:8] != b"ftyp":
        with pytest.raises(UploadRefusedError):
            container_of(head)


@given(st.binary(min_size=4, max_size=4))
def test_a_frame_is_longer_than_its_header(header: bytes) -> None:
    """A frame of no length would be followed for ever, one beyond the head could not be checked."""
    length = mp3_frame_bytes(header)
    assert length is None or 4 < length <= 1441


def test_frame_lengths_are_the_standards() -> None:
    """MPEG 1 layer III, 128 kbit/s at 44.1 kHz: 417 bytes, 418 with padding; MPEG 2, 64 kbit/s at 22.05 kHz: 208."""
    headers = (b"\xff\xfb\x90\x00", b"\xff\xfb\x92\x00", b"\xff\xf3\x80\x00")
    assert [mp3_frame_bytes(header) for header in headers] == [417, 418, 208]
