"""Converts points, beats and sections of a map from the JSON form to the device form and back."""

from collections.abc import Iterable
from typing import Any, cast

from k1_graph.bundle.columns import (
    pack_deltas,
    pack_nibbles,
    pack_range,
    pack_times,
    pack_unit,
    unpack_deltas,
    unpack_nibbles,
    unpack_range,
    unpack_times,
    unpack_unit,
)

Json = dict[str, Any]

_LABELS = ["intro", "verse", "build", "drop", "breakdown", "chorus", "outro", "section"]


def pack_envelope(points: list[Json]) -> Json:
    """Encode `{time_ms, intensity}` points as a time axis and a u8 column."""
    return {
        **pack_times([point["time_ms"] for point in points]),
        "u8": pack_unit([point["intensity"] for point in points]),
    }


def unpack_envelope(packed: Json) -> list[Json]:
    levels = unpack_unit(packed["u8"])
    return [{"time_ms": t, "intensity": v} for t, v in zip(unpack_times(packed), levels, strict=True)]


def pack_points(points: list[Json], key: str) -> Json:
    """Encode `{time_ms, key}` points of any range."""
    return {**pack_times([point["time_ms"] for point in points]), **pack_range([p[key] for p in points])}


def unpack_points(packed: Json, key: str) -> list[Json]:
    values = unpack_range(packed)
    return [{"time_ms": t, key: v} for t, v in zip(unpack_times(packed), values, strict=True)]


def pack_chroma(rows: list[list[float]]) -> Json:
    """Encode the 12 rows of pitch classes in 4 bits, which suffice because they choose a colour."""
    return {"n": len(rows[0]), "u4": [pack_nibbles(row) for row in rows]}


def unpack_chroma(packed: Json) -> list[list[float]]:
    return [unpack_nibbles(row, packed["n"]) for row in packed["u4"]]


def pack_rhythm(rhythm: Json) -> Json:
    """Remove the beats from `rhythm` and return them encoded; encode its other grids and confidences in place."""
    beats = cast("list[float]", rhythm.pop("beat_grid_ms"))
    place = {time: index for index, time in enumerate(beats)}
    if "beat_confidence" in rhythm:
        rhythm["beat_confidence"] = pack_unit(rhythm["beat_confidence"])
    for alternative in rhythm.get("alternatives", []):
        _pack_alternative(alternative)
    return {
        "beats": pack_deltas(_milliseconds(beats)),
        "downbeats": pack_deltas([place[time] for time in rhythm.pop("downbeat_ms")]),
        "strength": pack_unit(rhythm.pop("beat_strength")),
    }


def unpack_rhythm(live: Json, rhythm: Json) -> None:
    """Restore the fields that pack_rhythm removed or encoded."""
    beats = _floats(live["beats"])
    rhythm["beat_grid_ms"] = beats
    rhythm["downbeat_ms"] = [beats[index] for index in unpack_deltas(live["downbeats"])]
    rhythm["beat_strength"] = unpack_unit(live["strength"])
    if "beat_confidence" in rhythm:
        rhythm["beat_confidence"] = unpack_unit(rhythm["beat_confidence"])
    for alternative in rhythm.get("alternatives", []):
        beats = _floats(alternative["beat_grid_ms"])
        alternative["beat_grid_ms"] = beats
        if "downbeat_ms" in alternative:
            alternative["downbeat_ms"] = [beats[index] for index in unpack_deltas(alternative["downbeat_ms"])]


def _pack_alternative(alternative: Json) -> None:
    """Encode the beats of an alternative in place, and its downbeats as indices of these."""
    place = {time: index for index, time in enumerate(alternative["beat_grid_ms"])}
    alternative["beat_grid_ms"] = pack_deltas(_milliseconds(alternative["beat_grid_ms"]))
    if "downbeat_ms" in alternative:
        alternative["downbeat_ms"] = pack_deltas([place[time] for time in alternative["downbeat_ms"]])


def pack_sections(annotations: Json) -> Json:
    """Remove sections and drops from `annotations` and return them encoded, as rows and deltas."""
    sections = cast("list[Json]", annotations.pop("sections"))
    return {
        "labels": _LABELS,
        "sections": [
            [
                round(section["start_ms"]),
                round(section["end_ms"]),
                _LABELS.index(section["label"]),
                *pack_unit([section["confidence"], section["energy"]]),
            ]
            for section in sections
        ],
        "drops": pack_deltas(sorted(round(time) for time in annotations.pop("drops"))),
    }


def unpack_sections(live: Json, annotations: Json) -> None:
    """Restore the fields that pack_sections removed."""
    annotations["sections"] = [
        {
            "start_ms": float(start),
            "end_ms": float(end),
            "label": live["labels"][label],
            "confidence": round(confidence / 255, 4),
            "energy": round(energy / 255, 4),
        }
        for start, end, label, confidence, energy in live["sections"]
    ]
    annotations["drops"] = _floats(live["drops"])


def _floats(packed: bytes) -> list[float]:
    return [float(time) for time in unpack_deltas(packed)]


def _milliseconds(times: Iterable[float]) -> list[int]:
    """Round times to whole milliseconds and keep them strictly rising."""
    rounded: list[int] = []
    for time in times:
        rounded.append(max(round(time), rounded[-1] + 1) if rounded else round(time))
    return rounded
