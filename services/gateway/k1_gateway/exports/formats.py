"""Lists the export formats: how each one is written, its media type and the end of its file name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from k1_contracts.exports import ExportFormat
from k1_gateway.exports.jams import jams_document
from k1_gateway.exports.midi import tempo_map
from k1_gateway.exports.mixxx import mixxx_script
from k1_gateway.exports.song import Song
from k1_gateway.exports.text_formats import audacity_labels, beat_list, csv_table
from k1_gateway.exports.xml_formats import rekordbox_collection, sonic_visualiser_layers, xlights_timing


@dataclass(frozen=True, slots=True)
class Format:
    """One export format."""

    write: Callable[[Song], bytes]
    media_type: str
    suffix: str
    """What follows the name of the song in the file name."""


FORMATS: Final[Mapping[ExportFormat, Format]] = {
    "audacity": Format(audacity_labels, "text/plain", ".labels.txt"),
    "sonic-visualiser": Format(sonic_visualiser_layers, "application/xml", ".svl"),
    "beats": Format(beat_list, "text/plain", ".beats"),
    "jams": Format(jams_document, "application/json", ".jams"),
    "midi": Format(tempo_map, "audio/midi", ".mid"),
    "xlights": Format(xlights_timing, "application/xml", ".xtiming"),
    "rekordbox": Format(rekordbox_collection, "application/xml", ".rekordbox.xml"),
    "mixxx": Format(mixxx_script, "application/sql", ".mixxx.sql"),
    "csv": Format(csv_table, "text/csv", ".csv"),
    "json": Format(lambda song: song.document, "application/json", ".json"),
}
