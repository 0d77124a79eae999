"""Lists the endpoints of the audio of a track and its waveform."""

from typing import Final

from k1_contracts.messages.catalogue.media import AUDIO_GET, WAVEFORM_GET
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.problem_texts import NO_TRACK
from k1_gateway.media.audio import get_audio
from k1_gateway.media.waveform import BINARY, WaveformParameters, get_waveform
from k1_gateway.media.waveform_data import WaveformJson

_AUDIO_TYPES: Final = (
    "audio/mpeg", "audio/wav", "audio/flac", "audio/ogg", "audio/mp4", "audio/aiff", BINARY,
)  # fmt: skip

MEDIA: Final = (
    Endpoint(
        "GET", "/tracks/{track_id}/audio", "getAudio", "Tracks", "The audio of a track as it was uploaded, or a part of it",
        get_audio, query=AUDIO_GET, query_params=("format",),
        responses={200: ("The audio", None), 206: ("The requested part", None)},
        problems={
            **NO_TRACK, 404: "`track_not_found`; `object_missing`: upload the song again",
            409: "`track_uploading`: the song is on its way",
            422: "`invalid_parameter`; `audio_copy_failed`: use the original", 416: "`range_not_satisfiable`",
        },
        cacheable=True, takes_range=True, binary_types=_AUDIO_TYPES,
    ),
    Endpoint(
        "GET", "/tracks/{track_id}/waveform", "getWaveform", "Tracks",
        "The peaks of the waveform for a player: audiowaveform .dat version 2 with 8 bits, or JSON by `Accept`",
        get_waveform, query=WAVEFORM_GET, parameter_model=WaveformParameters,
        query_params=("samples_per_s", "version"),
        responses={200: ("The waveform", WaveformJson)},
        problems={
            **NO_TRACK,
            404: "`track_not_found`, `version_not_found`; `waveform_missing`: an earlier release analysed it, analyse "
            "it again; `object_missing`",
        },
        cacheable=True, binary_types=(BINARY,),
    ),
)  # fmt: skip
