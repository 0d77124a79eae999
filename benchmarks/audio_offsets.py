"""Measures the time offset of decoded audio for many encoders, containers and tags.

Encodes a track of noise noise_bursts, changes the file as rippers, taggers and recorders do, decodes it with the engine and
aligns the result with the original by cross-correlation. libav's encoders come with PyAV; lame, oggenc, opusenc,
twolame, flac and ffmpeg are used if they are installed. Exits with 1 if the offset exceeds 2 ms for a file that states
its encoder delay, or exceeds the bound in the map for another file.

    python -m benchmarks.audio_offsets
"""

import shutil
import struct
import subprocess
import sys
import tempfile
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from k1_analysis.engine.audio.decoding import decode
from k1_analysis.engine.errors import EngineError

RATE = 44_100
SECONDS = 12.0
MAX_OFFSET_MS = 2.0
Samples = np.ndarray[Any, np.dtype[np.float32]]

LIBAV = (
    ("libmp3lame", "song.mp3", RATE),
    ("libmp3lame", "48k.mp3", 48_000),
    ("libmp3lame", "22k.mp3", 22_050),
    ("libmp3lame", "song.mka", RATE),
    ("mp2", "song.mp2", RATE),
    ("aac", "song.m4a", RATE),
    ("aac", "song.aac", RATE),
    ("alac", "song.m4a", RATE),
    ("flac", "song.flac", RATE),
    ("libopus", "song.opus", 48_000),
    ("libopus", "song.webm", 48_000),
    ("pcm_s16be", "song.aiff", RATE),
    ("pcm_s16le", "song.wav", RATE),
    ("adpcm_ms", "song.wav", RATE),
    ("ac3", "song.ac3", 48_000),
    ("wmav2", "song.wma", RATE),
)
PROGRAMS = (
    ("lame -b 128", "lame --quiet -b 128 {wav} {out}", "cbr.mp3"),
    ("lame -V 2", "lame --quiet -V 2 {wav} {out}", "vbr.mp3"),
    ("lame -t (no tag)", "lame --quiet -b 128 -t {wav} {out}", "untagged.mp3"),
    ("ffmpeg libmp3lame", "ffmpeg -v error -y -i {wav} -b:a 128k {out}", "ff.mp3"),
    ("ffmpeg aac", "ffmpeg -v error -y -i {wav} {out}", "ff.m4a"),
    (
        "ffmpeg aac, fragments",
        "ffmpeg -v error -y -i {wav} -movflags frag_keyframe+empty_moov {out}",
        "fragments.mp4",
    ),
    ("ffmpeg aac, no edit list", "ffmpeg -v error -y -i {wav} -use_editlist 0 {out}", "plain.m4a"),
    ("oggenc", "oggenc -Q -o {out} {wav}", "oggenc.ogg"),
    ("opusenc", "opusenc --quiet {wav} {out}", "opusenc.opus"),
    ("twolame", "twolame {wav} {out}", "twolame.mp2"),
    ("flac", "flac -s -f -o {out} {wav}", "song.flac"),
)


@dataclass(frozen=True)
class Measured:
    """The measured offset of one file."""

    encoder: str
    file: str
    change: str
    offset_ms: float
    bound_ms: float | None

    @property
    def fails(self) -> bool:
        """Whether the offset exceeds the allowed bound."""
        return abs(self.offset_ms) > (MAX_OFFSET_MS if self.bound_ms is None else self.bound_ms)


def noise_bursts() -> Samples:
    """Return noise noise_bursts at irregular times, which have a unique alignment."""
    rng = np.random.default_rng(5)
    out = 0.01 * rng.standard_normal(int(SECONDS * RATE))
    for at in np.cumsum(rng.uniform(0.2, 0.6, 18)) * RATE:
        hit = np.arange(max(0, min(4000, len(out) - int(at))))
        out[int(at) : int(at) + len(hit)] += 0.6 * np.exp(-hit / 600) * rng.standard_normal(len(hit))
    return (0.8 * out / np.abs(out).max()).astype(np.float32)


def encode(path: Path, samples: Samples, codec: str, rate: int) -> None:
    """Encode the samples with an encoder of libav and write the file."""
    with av.open(str(path), "w", format="ipod" if path.suffix == ".m4a" else None) as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, av.AudioStream)
        if codec == "wmav2":
            stream.bit_rate = 128_000  # its default is refused
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        resampler = av.AudioResampler(
            stream.format.name, "stereo", rate, frame_size=stream.frame_size or 1024
        )
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))


def write_wav(path: Path, samples: Samples) -> None:
    """Write the samples as 16-bit stereo WAV."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((np.repeat(samples[:, None], 2, axis=1) * 32_767).astype("<i2").tobytes())


def id3(content: bytes, claimed: int | None = None) -> bytes:
    """Return an ID3v2.3 tag; `claimed` is the size in its header."""
    size = len(content) if claimed is None else claimed
    return b"ID3\x03\0\0" + bytes(size >> shift & 127 for shift in (21, 14, 7, 0)) + content


def _with_field(mp3: bytes, at: int, value: bytes) -> bytes:
    return mp3[:at] + value + mp3[at + len(value) :]


def _info(mp3: bytes) -> int:
    return max(mp3.find(b"Xing"), mp3.find(b"Info"))


def changes(mp3: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield common changes of MP3 files: description and content."""
    rng = np.random.default_rng(1)
    cover = rng.bytes(50_000)
    sync = b"".join(b"\xff\xfb\x90" + rng.bytes(37) for _ in range(200))
    yield "3,000 zeros in front", bytes(3000) + mp3
    yield "noise in front", rng.bytes(5000) + mp3
    yield "CR LF in front", b"\r\n" + mp3
    yield "ICY text in front", b"ICY 200 OK\r\nicy-name: radio\r\n\r\n" + mp3
    yield "ID3 with a cover", id3(cover) + mp3
    yield "ID3 whose size is too small", id3(cover, 20_000) + mp3
    yield "ID3 whose size is too large", id3(cover, 90_000) + mp3
    yield "false sync words behind ID3", id3(bytes(40)) + sync + mp3
    yield "ID3v1 behind", mp3 + b"TAG" + bytes(125)
    tag = _info(mp3)
    if tag < 0:
        return
    lame = next(at for at in range(tag, tag + 200) if mp3[at : at + 3] in {b"LAM", b"Lav"})
    yield "stale count: too few frames", _with_field(mp3, tag + 8, struct.pack(">I", 100))
    yield "stale count: too many frames", _with_field(mp3, tag + 8, struct.pack(">I", 99_999))
    yield "LAME tag without its check sum", _with_field(mp3, lame + 34, b"\0\0")
    yield "LAME delay 0xFFF", _with_field(mp3, lame + 21, b"\xff\xff\xff")
    yield "LAME tag of noise", _with_field(mp3, lame, rng.bytes(36))


def measure_offset(found: Samples, true: Samples) -> float:
    """Return how much later the music is in `found` than in `true`, in ms."""
    size = 1 << (len(found) + len(true)).bit_length()
    match = np.fft.irfft(np.fft.rfft(found, size) * np.conj(np.fft.rfft(true, size)))
    best = int(match.argmax())
    return 1000 * (best - size if best > size // 2 else best) / RATE


def measure(encoder: str, path: Path, true: Samples, change: str = "") -> Measured:
    """Decode one file and measure its offset from the original."""
    audio = decode(path)
    return Measured(
        encoder, path.name, change, measure_offset(audio.samples, true), audio.decoded.start.bound_ms
    )


def encoded_files(folder: Path, true: Samples) -> Iterator[tuple[str, Path]]:
    """Yield each file that the installed encoders can produce, with the name of the encoder."""
    for codec, name, rate in LIBAV:
        path = folder / name
        encode(path, true, codec, rate)
        yield f"libav {codec}", path
    source = folder / "source.wav"
    write_wav(source, true)
    for label, command, name in PROGRAMS:
        arguments = [part.format(wav=source, out=folder / name) for part in command.split()]
        if shutil.which(arguments[0]):
            subprocess.run(arguments, check=True, capture_output=True)
            yield label, folder / name
        else:
            print(f"{arguments[0]} is not installed: skipped", file=sys.stderr)


def rows(folder: Path, true: Samples) -> Iterator[Measured]:
    """Yield a measurement for each file and each change."""
    changed = {"libav libmp3lame", "lame -b 128", "lame -V 2"}
    for encoder, path in encoded_files(folder, true):
        yield measure(encoder, path, true)
        if encoder in changed and path.name in {"song.mp3", "cbr.mp3", "vbr.mp3"}:
            for change, content in changes(path.read_bytes()):
                other = folder / f"changed-{path.name}"
                other.write_bytes(content)
                yield measure(encoder, other, true, change)


def main(out: Callable[[str], None] = print) -> int:
    """Print the table; return 1 if an offset exceeds its bound."""
    true, failures = noise_bursts(), 0
    out("| encoder | file | change | offset (ms) | bound in the map |")
    out("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for row in rows(Path(folder), true):
            failures += row.fails
            says = "exact" if row.bound_ms is None else f"within {row.bound_ms:g} ms"
            mark = " **exceeds the bound**" if row.fails else ""
            name = row.file.removeprefix("changed-")
            out(f"| {row.encoder} | {name} | {row.change} | {row.offset_ms:+.2f}{mark} | {says} |")
    return int(failures > 0)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except EngineError as error:
        sys.exit(f"a file cannot be decoded: {error}")
