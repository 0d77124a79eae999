# noqa: INP001  a document, not a package
"""Reference decoder of bundle.k1b, to be ported to firmware: plain Python, cbor2 and one Ed25519 check.

    python bundle-reference-decoder.py show.k1b PUBLIC_KEY_HEX [TIME_MS]

Prints the manifest and what the map says at a moment of the song. docs/bundle.md describes the format.
"""

import hashlib
import sys
import zlib
from pathlib import Path

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

PARTS = ("map", "graph", "assets")


def open_bundle(data: bytes, public_key: bytes) -> tuple[dict, dict]:
    """Return (manifest, parts). Nothing but the outer frame is parsed before the checks have passed."""
    box = cbor2.loads(data)
    # 1. The signature covers the exact bytes of the manifest. Raises InvalidSignature.
    Ed25519PublicKey.from_public_bytes(public_key).verify(box["signature"], box["manifest"])
    manifest = cbor2.loads(box["manifest"])
    if manifest["key_id"] != hashlib.sha256(public_key).hexdigest()[:16]:
        raise ValueError("signed with another key")
    # 2. The manifest's checksum covers the three parts, one after the other.
    digest = hashlib.sha256()
    for name in PARTS:
        digest.update(box[name])
    if digest.hexdigest() != manifest["checksum_sha256"]:
        raise ValueError("content does not match the checksum")
    return manifest, {name: cbor2.loads(box[name]) for name in PARTS}


def deltas(data: bytes) -> list[int]:
    """Unsigned LEB128 differences, the first from 0: 7 bits a byte, low bits first, top bit set = more to come."""
    values, total, delta, shift = [], 0, 0, 0
    for byte in data:
        delta |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:  # noqa: PLR2004  the top bit
            total += delta
            values.append(total)
            delta = shift = 0
    return values


def time_axis(column: dict) -> list[float]:
    """Times in ms: evenly spaced (t0, step, n), or deltas in tenths of a millisecond (d)."""
    if "d" in column:
        return [tenth / 10 for tenth in deltas(column["d"])]
    return [column["t0"] + column["step"] * i for i in range(column["n"])]


class Player:
    """What a device keeps of the map. All of it can be read in place, from flash."""

    def __init__(self, device_map: dict) -> None:
        live = device_map["live"]
        self.beats = deltas(live["beats"])  # ms
        self.downbeats = deltas(live["downbeats"])  # numbers of beats
        self.strength = live["strength"]  # u8, one a beat
        self.envelopes = live["env"]
        self.sections = live["sections"]  # [start ms, end ms, label, confidence u8, energy u8]
        self.labels = live["labels"]
        self.drops = deltas(live["drops"])

    def envelope(self, name: str, time_ms: float) -> float:
        """0..1, straight between two points; the first and last hold beyond the ends."""
        column = self.envelopes[name]
        levels = column["u8"]
        if not levels:
            return 0.0
        times = time_axis(column)  # a device computes the place: (time - t0) / step
        if time_ms <= times[0]:
            return levels[0] / 255
        for i in range(len(times) - 1):
            if times[i] <= time_ms <= times[i + 1]:
                part = (time_ms - times[i]) / (times[i + 1] - times[i])
                return (levels[i] + (levels[i + 1] - levels[i]) * part) / 255
        return levels[-1] / 255

    def section(self, time_ms: float) -> int:
        """The number of the section playing: the last one begun, 0 before the first."""
        number = 0
        for i, row in enumerate(self.sections):
            if row[0] <= time_ms:
                number = i
        return number

    def next_beat(self, time_ms: float) -> tuple[int, float, bool] | None:
        """(time, strength 0..1, is a downbeat) of the first beat at or after the time; None at the end."""
        for i, beat in enumerate(self.beats):
            if beat >= time_ms:
                return beat, self.strength[i] / 255, i in self.downbeats
        return None


def archive(device_map: dict) -> dict:
    """The rest of the map, which no device needs while it plays."""
    return cbor2.loads(zlib.decompress(device_map["archive"]))


def column_values(column: dict) -> list[float]:
    """The numbers of an archive column: u8 between lo and hi, stored as differences modulo 256."""
    span, level, values = column["hi"] - column["lo"], 0, []
    for difference in column["d8"]:
        level = (level + difference) & 0xFF
        values.append(column["lo"] + span * level / 255)
    return values


def main(path: str, key_hex: str, time_ms: str = "0") -> None:
    """Decode and print."""
    manifest, parts = open_bundle(Path(path).read_bytes(), bytes.fromhex(key_hex))
    player = Player(parts["map"])
    at = float(time_ms)
    for key, value in manifest.items():
        print(f"{key}: {value}")
    print(f"nodes: {[node['id'] for node in parts['graph']['nodes']]}")
    print(f"at {at} ms:", {name: round(player.envelope(name, at), 3) for name in player.envelopes})
    if player.sections:
        print("section:", player.labels[player.sections[player.section(at)][2]])
    print("next beat (ms, strength, downbeat):", player.next_beat(at))


if __name__ == "__main__":
    main(*sys.argv[1:])
