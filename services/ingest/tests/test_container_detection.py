"""The container of an upload, detected by its first bytes."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_audio.kinds import WINDOW_BYTES, bytes_wanted
from k1_ingest.audio_checks.container_detection import detect_container
from k1_ingest.errors import UploadRejectedError
from services.ingest.tests import songs

CONTAINERS = {
    "mp3": "mp3",
    "mp2": "mp2",
    "aiff": "aiff",
    "flac": "flac",
    "opus": "ogg",
    "vorbis": "ogg",
    "m4a": "m4a",
}


@pytest.mark.parametrize("kind", songs.KINDS)
def test_every_accepted_format_is_detected(kind: str) -> None:
    """Files of real encoders are recognised by their first bytes, whatever their name."""
    assert detect_container(songs.encoded(kind)[:WINDOW_BYTES]) == CONTAINERS[kind]


def test_wav_and_its_long_forms_are_detected() -> None:
    """RIFF, and the 64-bit headers that some recorders write."""
    data = songs.wav(1.0)[:WINDOW_BYTES]
    assert {detect_container(magic + data[4:]) for magic in (b"RIFF", b"RF64", b"BW64")} == {"wav"}


def test_mp3_is_detected_with_and_without_a_tag() -> None:
    """The probe checks what comes behind a tag; bare frames are followed to the next frame."""
    bare = songs.encoded("mp3")
    bare = bare[bare.index(b"\xff\xfb") :] if bare.startswith(b"ID3") else bare
    assert detect_container(bare[:WINDOW_BYTES]) == "mp3"
    assert detect_container(b"ID3\x04\x00\x00" + bytes(WINDOW_BYTES)) == "mp3"


@pytest.mark.parametrize("kind", ["mp3", "mp2", "flac", "wav", "aiff", "opus", "m4a"])
def test_a_format_behind_a_tag_is_detected(kind: str) -> None:
    """As many bytes are requested as the tag is long, and then the format is detected."""
    music = songs.wav() if kind == "wav" else songs.encoded_once(kind)
    tag = b"ID3\x03\0\0" + bytes([0, 8, 0, 0]) + bytes(8 << 14)
    wanted = bytes_wanted(tag[:4096])
    assert wanted >= len(tag) + WINDOW_BYTES
    assert detect_container((tag + music)[:wanted]) == CONTAINERS.get(kind, kind)


@pytest.mark.parametrize(
    ("head", "seen"),
    [
        (b"Dear lighting designer,\n" * 20, "text"),
        ("Wörter mit Umlauten ".encode() * 205, "text"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"PK\x03\x04" + bytes(30), "a ZIP archive"),
        (b"\x1a\x45\xdf\xa3" + bytes(30), "a Matroska or WebM file"),
        (b"FORM\x00\x00\x10\x008SVX", "an IFF file other than AIFF"),
        (b"RIFF\x00\x00\x10\x00AVI ", "a RIFF file other than WAV"),
        (b"OggS" + bytes(24) + b"\x80theora", "an Ogg file without Vorbis, Opus, FLAC"),
        (b"\x00\x00\x00\x18ftypqt  ", "an MP4 file of the kind 'qt  '"),
        (b"\xff\xf1\x50\x80" + bytes(60), "an AAC stream without a container"),
        (bytes(100), "of an unknown kind (it starts with 00 00 00 00 00 00 00 00)"),
    ],
)
def test_a_rejection_names_the_kind_of_file(head: bytes, seen: str) -> None:
    """The person learns what the file is and what to upload instead."""
    with pytest.raises(UploadRejectedError) as refused:
        detect_container(head[:WINDOW_BYTES])
    assert refused.value.code == "unsupported_format"
    assert str(refused.value) == f"The file is {seen}; upload an MP3, MP2, WAV, AIFF, FLAC, OGG or M4A file."


@given(st.binary(max_size=200))
def test_any_bytes_are_a_container_or_a_rejection(head: bytes) -> None:
    """No bytes cause another result."""
    with contextlib.suppress(UploadRejectedError):
        assert detect_container(head) in {"mp3", "mp2", "wav", "flac", "ogg", "m4a", "aiff"}


@given(st.text(min_size=1))
def test_text_is_never_audio(text: str) -> None:
    """UTF-8 has no byte FF, so text cannot look like a frame, unless it begins like a tagged file."""
    head = text.encode()
    if not head.startswith((b"ID3", b"fLaC", b"RIFF", b"OggS", b"FORM")) and head[4:8] != b"ftyp":
        with pytest.raises(UploadRejectedError):
            detect_container(head)
