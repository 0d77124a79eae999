"""Writes a JAMS file, the annotation format of music information research, version 0.3.

Source: https://jams.readthedocs.io, namespaces `beat`, `segment_open`, `tempo`, `key_mode`.
"""

import json
from collections.abc import Callable
from typing import Any, Final

from k1_gateway.exports.song import Song

_VERSION: Final = "0.3.4"


def jams_document(song: Song) -> bytes:
    """Return beats with their positions in the bar, sections, tempo and key as annotations."""
    duration = song.metrics.duration_ms / 1000
    confidences = song.rhythm.beat_confidence or [None] * len(song.rhythm.beat_grid_ms)
    beats = [
        _observation(beat, 0, position, confidence)
        for beat, position, confidence in zip(
            song.rhythm.beat_grid_ms, song.positions, confidences, strict=True
        )
    ]
    sections = [
        _observation(section.start_ms, section.end_ms - section.start_ms, section.label, section.confidence)
        for section in song.sections
    ]
    metrics = song.metrics
    tempo = _observation(0, metrics.duration_ms, metrics.bpm, metrics.tempo_confidence)
    key = _observation(0, metrics.duration_ms, f"{metrics.key}:{metrics.scale}", metrics.key_strength)
    annotate = _annotator(song, duration)
    document = {
        "file_metadata": {
            "title": song.title,
            "artist": song.artist,
            "release": "",
            "duration": duration,
            "identifiers": {},
            "jams_version": _VERSION,
        },
        "annotations": [
            annotate("beat", beats),
            annotate("segment_open", sections),
            annotate("tempo", [tempo]),
            annotate("key_mode", [key]),
        ],
        "sandbox": {},
    }
    return json.dumps(document, ensure_ascii=False).encode()


def _observation(
    start_ms: float, length_ms: float, value: object, confidence: float | None
) -> dict[str, Any]:
    return {"time": start_ms / 1000, "duration": length_ms / 1000, "value": value, "confidence": confidence}


def _annotator(song: Song, duration_s: float) -> Callable[[str, list[dict[str, Any]]], dict[str, Any]]:
    source = {
        "curator": {"name": "", "email": ""},
        "annotator": {},
        "version": song.genesis.metadata.version,
        "corpus": "",
        "annotation_tools": f"K1 Song Analysis, engine {song.genesis.metadata.analysis_engine}",
        "annotation_rules": "",
        "validation": "",
        "data_source": "program",
    }

    def annotate(namespace: str, data: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "namespace": namespace,
            "time": 0.0,
            "duration": duration_s,
            "data": data,
            "annotation_metadata": source,
            "sandbox": {},
        }

    return annotate
