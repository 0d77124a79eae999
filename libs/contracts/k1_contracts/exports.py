"""Names the formats in which a map can be exported."""

from typing import Literal

from k1_contracts.base import Contract
from k1_contracts.ids import TrackId
from k1_contracts.tracks import Version

ExportFormat = Literal[
    "audacity",
    "sonic-visualiser",
    "beats",
    "jams",
    "midi",
    "xlights",
    "rekordbox",
    "mixxx",
    "csv",
    "json",
]


class ExportVersion(Contract):
    """Export the beats and sections of a version; `json` is the whole map."""

    track_id: TrackId
    version: Version
    format: ExportFormat
