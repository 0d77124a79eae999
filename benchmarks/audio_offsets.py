"""How far the music of a file is off after decoding: every encoder, container and tag that is at hand.

A track of noise bursts is encoded, the file is changed as rippers, taggers, recorders and accidents change files, and what
the engine decodes is laid over the original by cross-correlation. libav's encoders come with PyAV; lame, oggenc, opusenc,
twolame, flac and ffmpeg are used where they are installed. Exits with 1 if a file that tells is off by more than 2 ms, or one
that does not by more than the map says.

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
MOST_MS = 2.0
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
    """One line of the table."""

    made_by: str
    file: str
    change: str
    off_ms: float
    bound_ms: float | None

    @property
    def fails(self) -> bool:
        """Whether the file is further off than it may be."""
        return abs(self.off_ms) > (MOST_MS if self.bound_ms is None else self.bound_ms)


def bursts() -> Samples:
    """Noise bursts at irregular times: only one alignment fits."""
    rng = np.random.default_rng(5)
    out = 0.01 * rng.standard_normal(int(SECONDS * RATE))
    for at in np.cumsum(rng.uniform(0.2, 0.6, 18)) * RATE:
        hit = np.arange(max(0, min(4000, len(out) - int(at))))
        out[int(at) : int(at) + len(hit)] += 0.6 * np.exp(-hit / 600) * rng.standard_normal(len(hit))
    return (0.8 * out / np.abs(out).max()).astype(np.float32)


def encode(path: Path, samples: Samples, codec: str, rate: int) -> None:
    """Write the samples with one of libav's encoders."""
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
    """16-bit stereo."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((np.repeat(samples[:, None], 2, axis=1) * 32_767).astype("<i2").tobytes())


def id3(content: bytes, claimed: int | None = None) -> bytes:
    """An ID3v2.3 tag; `claimed` is the size that its header gives."""
    size = len(content) if claimed is None else claimed
    return b"ID3\x03\0\0" + bytes(size >> shift & 127 for shift in (21, 14, 7, 0)) + content


def _with_field(mp3: bytes, at: int, value: bytes) -> bytes:
    return mp3[:at] + value + mp3[at + len(value) :]


def _info(mp3: bytes) -> int:
    return max(mp3.find(b"Xing"), mp3.find(b"Info"))


def changes(mp3: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield what happens to MP3 files."""
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


def offset_ms(found: Samples, true: Samples) -> float:
    """How much later the music stands in `found`."""
    size = 1 << (len(found) + len(true)).bit_length()
    match = np.fft.irfft(np.fft.rfft(found, size) * np.conj(np.fft.rfft(true, size)))
    best = int(match.argmax())
    return 1000 * (best - size if best > size // 2 else best) / RATE


def measure(made_by: str, path: Path, true: Samples, change: str = "") -> Measured:
    """Decode one file and lay it over the original."""
    audio = decode(path)
    return Measured(made_by, path.name, change, offset_ms(audio.samples, true), audio.decoded.start.bound_ms)


def made(folder: Path, true: Samples) -> Iterator[tuple[str, Path]]:
    """Yield every file that can be made here, and what made it."""
    for codec, name, rate in LIBAV:
        path = folder / name
        encode(path, true, codec, rate)
        yield f"libav {codec}", path
    source = folder / "source.wav"
    write_wav(source, true)
    for label, command, name in PROGRAMS:
        words = [word.format(wav=source, out=folder / name) for word in command.split()]
        if shutil.which(words[0]):
            subprocess.run(words, check=True, capture_output=True)
            yield label, folder / name
        else:
            print(f"{words[0]} is not installed: left out", file=sys.stderr)


def rows(folder: Path, true: Samples) -> Iterator[Measured]:
    """Yield a line for each file and each change."""
    changed = {"libav libmp3lame", "lame -b 128", "lame -V 2"}
    for made_by, path in made(folder, true):
        yield measure(made_by, path, true)
        if made_by in changed and path.name in {"song.mp3", "cbr.mp3", "vbr.mp3"}:
            for change, content in changes(path.read_bytes()):
                other = folder / f"changed-{path.name}"
                other.write_bytes(content)
                yield measure(made_by, other, true, change)


def main(out: Callable[[str], None] = print) -> int:
    """Print the table; 1 if a line is further off than it may be."""
    true, failures = bursts(), 0
    out("| made by | file | changed | off by (ms) | the map says |")
    out("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for row in rows(Path(folder), true):
            failures += row.fails
            says = "exact" if row.bound_ms is None else f"within {row.bound_ms:g} ms"
            mark = " **too far**" if row.fails else ""
            name = row.file.removeprefix("changed-")
            out(f"| {row.made_by} | {name} | {row.change} | {row.off_ms:+.2f}{mark} | {says} |")
    return int(failures > 0)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except EngineError as error:
        sys.exit(f"a file cannot be decoded: {error}")
