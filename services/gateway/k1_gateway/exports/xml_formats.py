"""Writes beats and sections as XML: Sonic Visualiser layers, an xLights timing file, a rekordbox collection.

Sources: layer files that Sonic Visualiser 5 writes; `xLights` manual, "Import timing tracks"; "rekordbox XML format
list" of AlphaTheta, version 6.
"""

from typing import Final
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement, tostring

from k1_gateway.exports.song import Song
from k1_gateway.exports.tempo_changes import tempo_changes

_LAYER_RATE_HZ: Final = 10_000
"""Sonic Visualiser counts in frames: with this rate a frame is the 0.1 ms of the map."""
_MAX_CUES: Final = 8
"""rekordbox has eight hot cues."""
_XML_CONTROL: Final = dict.fromkeys(
    [*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF, *range(0xD800, 0xE000)]
)
"""Characters that XML 1.0 cannot hold."""


def sonic_visualiser_layers(song: Song) -> bytes:
    """Return a session file with two layers: the beats as instants, and the sections as regions."""
    root = Element("sv")
    data, display = SubElement(root, "data"), SubElement(root, "display")
    beats = _layer(data, display, "1", "timeinstants", "Beats", dimensions="1")
    for beat, position in zip(song.rhythm.beat_grid_ms, song.positions, strict=True):
        SubElement(beats, "point", frame=_frame(beat), label=str(position))
    regions = _layer(data, display, "3", "regions", "Sections", dimensions="3", subtype="region", units="")
    for index, section in enumerate(song.sections):
        length = _frame(section.end_ms - section.start_ms)
        SubElement(
            regions, "point",
            frame=_frame(section.start_ms), value=str(index), duration=length, label=section.label,
        )  # fmt: skip
    return _document(root, doctype="sonic-visualiser")


def _layer(data: Element, display: Element, number: str, kind: str, name: str, **attributes: str) -> Element:
    """Add a sparse model and its layer, and return the dataset that takes the points."""
    dataset = str(int(number) + 1)
    SubElement(
        data, "model",
        attributes, id=number, name=name, sampleRate=str(_LAYER_RATE_HZ), start="0", end="0", type="sparse",
        resolution="1", notifyOnAdd="true", dataset=dataset,
    )  # fmt: skip
    SubElement(display, "layer", id=str(100 + int(number)), type=kind, name=name, model=number)
    return SubElement(data, "dataset", id=dataset, dimensions=attributes["dimensions"])


def xlights_timing(song: Song) -> bytes:
    """Return a `.xtiming` file with three timing tracks: beats, bars and sections. Times are whole milliseconds."""
    end = song.metrics.duration_ms
    beats = song.rhythm.beat_grid_ms
    labels = [str(position) for position in song.positions]
    bars = [(beat, str(number)) for number, beat in enumerate(song.rhythm.downbeat_ms, 1)]
    root = Element("timings")
    _timing_track(root, "K1 Beats", _spans(list(zip(beats, labels, strict=True)), end))
    _timing_track(root, "K1 Bars", _spans(bars, end))
    sections = [(section.start_ms, section.end_ms, section.label) for section in song.sections]
    _timing_track(root, "K1 Sections", sections)
    return _document(root)


def _spans(marks: list[tuple[float, str]], end: float) -> list[tuple[float, float, str]]:
    """Return each mark with the start of the next one as its end."""
    edges = [*(time for time, _ in marks), end]
    return [(time, edges[place + 1], label) for place, (time, label) in enumerate(marks)]


def _timing_track(root: Element, name: str, spans: list[tuple[float, float, str]]) -> None:
    timing = SubElement(root, "timing", name=name, SourceVersion="2024.01")
    layer = SubElement(timing, "EffectLayer")
    for start, end, label in spans:
        if round(end) > round(start):
            SubElement(layer, "Effect", label=label, starttime=str(round(start)), endtime=str(round(end)))


def rekordbox_collection(song: Song) -> bytes:
    """Return a collection of one track: tempo and bar position wherever the tempo changes, hot cues at sections.

    rekordbox finds the file by `Location`, which is the name of the uploaded file; a person points it to the file.
    """
    metrics = song.metrics
    root = Element("DJ_PLAYLISTS", Version="1.0.0")
    SubElement(root, "PRODUCT", Name="K1 Song Analysis", Version="1", Company="K1")
    collection = SubElement(root, "COLLECTION", Entries="1")
    track = SubElement(
        collection, "TRACK",
        TrackID="1", Name=_clean(song.title), Artist=_clean(song.artist),
        TotalTime=str(round(metrics.duration_ms / 1000)), AverageBpm=f"{metrics.bpm:.2f}",
        Tonality=_tonality(metrics.key, metrics.scale),
        Location=f"file://localhost/{quote(_clean(song.file_name))}",
    )  # fmt: skip
    for change in tempo_changes(song):
        SubElement(
            track, "TEMPO",
            Inizio=f"{change.time_ms / 1000:.3f}", Bpm=f"{change.bpm:.2f}",
            Metro=f"{change.beats_per_bar}/4", Battito=str(change.position),
        )  # fmt: skip
    for number, section in enumerate(song.sections[:_MAX_CUES]):
        start = f"{section.start_ms / 1000:.3f}"
        SubElement(track, "POSITION_MARK", Name=section.label, Type="0", Start=start, Num=str(number))
    playlists = SubElement(root, "PLAYLISTS")
    SubElement(playlists, "NODE", Type="0", Name="ROOT", Count="0")
    return _document(root)


def _tonality(key: str, scale: str) -> str:
    return f"{key}m" if scale == "minor" else key


def _frame(time_ms: float) -> str:
    return str(round(time_ms * _LAYER_RATE_HZ / 1000))


def _clean(text: str) -> str:
    return text.translate(_XML_CONTROL)


def _document(root: Element, doctype: str | None = None) -> bytes:
    head = b'<?xml version="1.0" encoding="UTF-8"?>\n'
    if doctype is not None:
        head += f"<!DOCTYPE {doctype}>\n".encode()
    return head + tostring(root, encoding="utf-8") + b"\n"
