"""Title and artist from a song's own tags, in every container, and from hostile ones."""

import asyncio
import io
from pathlib import Path

import av
import httpx
import pytest
from av.audio.stream import AudioStream
from hypothesis import given
from hypothesis import strategies as st
from nats.js import JetStreamContext

from k1_contracts.messages.catalogue.tracks import TrackUploaded
from k1_contracts.upload_form import MAX_TITLE_LENGTH
from k1_ingest.audio_checks.song_tags import SongTags, choose_tags, clean_tag, read_song_tags
from services.ingest.tests import songs
from services.ingest.tests.test_upload import published_events, upload

TAGGED = {**songs.ENCODERS, "wav": ("wav", "pcm_s16le")}
MUX_OPTIONS = {"aiff": {"write_id3v2": "1"}}


def tagged(kind: str, title: str, artist: str, seed: int = 0) -> bytes:
    """Return a song with these tags in the container's own way."""
    name, codec = TAGGED[kind]
    rate = 48_000 if kind == "opus" else songs.RATE
    file = io.BytesIO()
    with av.open(file, "w", format=name, options=MUX_OPTIONS.get(kind, {})) as container:
        container.metadata["title"] = title
        container.metadata["artist"] = artist
        stream = container.add_stream(codec, rate=rate, layout="mono")
        assert isinstance(stream, AudioStream)
        data = songs.samples(2.0, seed, rate)[None, :]
        frame = av.AudioFrame.from_ndarray(data, format="s16", layout="mono")
        frame.sample_rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return file.getvalue()


def id3v1(title: bytes, artist: bytes) -> bytes:
    """Return the last 128 bytes of an old MP3."""
    return b"TAG" + title.ljust(30, b"\0") + artist.ljust(30, b"\0") + bytes(65)


@pytest.mark.parametrize("kind", ["mp3", "aiff", "flac", "opus", "m4a", "wav"])
def test_every_container_has_tags(tmp_path: Path, kind: str) -> None:
    """ID3v2, AIFF, Vorbis comments, MP4 atoms, RIFF INFO."""
    file = tmp_path / "song"
    file.write_bytes(tagged(kind, "Nächte 🎧", "Sjón"))
    assert read_song_tags(file) == SongTags("Nächte 🎧", "Sjón")


def test_an_old_tag_is_in_the_encoding_of_windows(tmp_path: Path) -> None:
    """An ID3v1 tag has no encoding."""
    file = tmp_path / "old.mp3"
    file.write_bytes(songs.encoded_once("mp2") + id3v1("Nächte".encode("cp1252"), b"Sj\xf3n"))
    assert read_song_tags(file) == SongTags("Nächte", "Sjón")


def test_a_file_without_readable_tags_has_none(tmp_path: Path) -> None:
    for name, data in {
        "plain": songs.wav(),
        "cut": songs.wav()[:20],
        "text": b"words" * 99,
        "none": b"",
    }.items():
        (tmp_path / name).write_bytes(data)
        assert read_song_tags(tmp_path / name) == SongTags()
    assert read_song_tags(tmp_path / "absent") == SongTags()


@given(st.binary(max_size=600))
def test_any_tag_becomes_a_clean_line(raw: bytes) -> None:
    """Whatever the bytes, the title is one that the event accepts."""
    text = raw.decode("utf-8", "surrogateescape")
    line = clean_tag(text)
    assert line == " ".join(line.split())
    assert not any(ord(character) < 32 for character in line)
    line.encode()
    title = choose_tags({"Title": text}).title
    assert title is None or 0 < len(title) <= MAX_TITLE_LENGTH
    if title is not None:
        assert TrackUploaded.__pydantic_validator__.validate_assignment(
            TrackUploaded.model_construct(), "title", title
        )


def test_a_later_stream_fills_what_the_container_lacks() -> None:
    """Control characters, a NUL and too much text are cut off."""
    found = choose_tags(
        {"title": " \0x", "ARTIST": "a\x1b[31mb\0rest"}, {"TITLE": "t" * 500, "artist": "other"}
    )
    assert found == SongTags("t" * MAX_TITLE_LENGTH, "a[31mb")


async def test_a_track_is_called_as_its_tags_say(
    http: httpx.Client, jetstream: JetStreamContext, unique: str
) -> None:
    """The form takes precedence over the tags, the tags over the name of the file."""
    seed = int(unique[:7], 16)
    data = tagged("flac", "Night", "Sjón", seed)
    other = tagged("flac", "Night", "Sjón", seed + 1)
    first = await asyncio.to_thread(upload, http, data, "01 track.flac")
    second = await asyncio.to_thread(upload, http, other, "01 track.flac", title="Day")
    [(_, named)] = await published_events(jetstream, first.json()["track_id"])
    [(_, given_title)] = await published_events(jetstream, second.json()["track_id"])
    assert (named.title, named.artist) == ("Night", "Sjón")
    assert (given_title.title, given_title.artist) == ("Day", "Sjón")
