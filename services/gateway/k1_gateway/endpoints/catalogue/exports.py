"""Lists the endpoint of exports."""

from typing import Final

from k1_contracts.exports import ExportVersion
from k1_gateway.exports.export import export_version
from k1_gateway.exports.formats import FORMATS
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.problem_texts import NO_MAP

EXPORTS: Final = (
    Endpoint(
        "GET", "/tracks/{track_id}/versions/{version}/export/{format}", "exportVersion", "Tracks",
        "The beats and sections as a file for another program; `Content-Disposition` names it",
        export_version, parameter_model=ExportVersion,
        responses={200: ("The file", None)},
        problems={**NO_MAP, 422: "`invalid_parameter`: every fault is named"},
        cacheable=True, binary_types=tuple(sorted({each.media_type for each in FORMATS.values()})),
    ),
)  # fmt: skip
