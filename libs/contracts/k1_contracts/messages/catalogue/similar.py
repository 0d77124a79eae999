"""Defines the query for the songs that sound most like a song."""

from typing import Annotated, Final, Literal

from pydantic import Field

from k1_contracts.base import Contract
from k1_contracts.descriptors import Query
from k1_contracts.ids import TrackId
from k1_contracts.messages.catalogue.tracks import TrackSummary

FeatureGroup = Literal["tempo", "rhythm", "harmony", "timbre", "dynamics"]


class FindSimilar(Contract):
    track_id: TrackId
    limit: Annotated[int, Field(ge=1, le=100)] = 10


class GroupDistance(Contract):
    """The part of a distance that one group of features makes up; the squares of all parts add up."""

    group: FeatureGroup
    distance: float = Field(ge=0)


class SimilarTrack(Contract):
    track: TrackSummary
    distance: float = Field(ge=0)
    """0 for the same features. Half of all pairs of the songs that it was tuned on are more than 3.2 apart."""
    groups: list[GroupDistance]
    """The group in which the songs are most alike, for that group, first."""
    why: str
    """In which respects the songs are alike, as a sentence."""


class SimilarTracks(Contract):
    items: list[SimilarTrack]
    """Nearest first. Only tracks that can be played: ready, or with warnings."""
    method: Literal["hnsw", "exact"]
    """`hnsw`: an approximate index of the database; a neighbour may be missing. `exact`: all tracks were compared."""
    searched: int
    """How many tracks have features."""


TRACK_SIMILAR: Final = Query(
    "rpc.catalogue.track.similar", FindSimilar, SimilarTracks, summary="The songs that sound most like a song"
)
