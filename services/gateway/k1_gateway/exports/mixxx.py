"""Writes an SQL script that gives the beats to a song in the library of Mixxx, which imports no files of beats.

`sqlite3 mixxxdb.sqlite < song.mixxx.sql`, while Mixxx does not run. Mixxx keeps beats as a protocol buffer with the
version `BeatMap-1.0`: `BeatMap {repeated Beat beat = 1}`, `Beat {optional int32 frame_position = 1}`. A frame is a
sample of the file. Source: `src/proto/beats.proto` and the table `library` of Mixxx 2.4.
"""

from typing import Final

from k1_gateway.exports.song import Song

_DEFAULT_RATE_HZ: Final = 44_100
"""Of maps of early versions, which do not name the rate of their file."""
_BEAT_TAG: Final = b"\x0a"
"""Field 1, length-delimited."""
_FRAME_TAG: Final = b"\x08"
"""Field 1, varint."""


def mixxx_script(song: Song) -> bytes:
    """Return the script. It changes the songs of the library whose file has the name of the uploaded file."""
    decoder = song.genesis.metadata.decoder
    rate_hz = decoder.sample_rate_hz if decoder is not None else _DEFAULT_RATE_HZ
    beats = beat_map([round(beat * rate_hz / 1000) for beat in song.rhythm.beat_grid_ms])
    name = song.file_name.encode().hex()
    where = f"filename = CAST(X'{name}' AS TEXT)"
    assign = f"bpm = {song.metrics.bpm:.2f}, beats = X'{beats.hex()}', beats_version = 'BeatMap-1.0'"
    songs = f"(SELECT id FROM track_locations WHERE {where})"  # noqa: S608  hexadecimal digits
    return f"UPDATE library SET {assign}, beats_sub_version = NULL WHERE location IN {songs};\n".encode()  # noqa: S608


def beat_map(frames: list[int]) -> bytes:
    """Return the protocol buffer `BeatMap` of these frames."""
    beats = (_FRAME_TAG + _varint(frame) for frame in frames)
    return b"".join(_BEAT_TAG + _varint(len(beat)) + beat for beat in beats)


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:  # noqa: PLR2004  seven bits in each byte
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
