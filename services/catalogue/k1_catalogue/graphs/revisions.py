"""Revisions of a version's graph, and the graph that an impact report compares with. Pure."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from k1_contracts.messages.catalogue.graphs import GraphSource

_ETAG_DIGITS: Final = 32


@dataclass(frozen=True, slots=True)
class GraphRevision:
    """One revision of a version's graph; `document` is JSON text."""

    revision: int
    source: GraphSource
    document: str
    etag: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Baseline:
    """The graph that another one is compared with, as JSON text, and its name in the report."""

    document: str
    name: str


def first_revision(document: str, at: datetime) -> GraphRevision:
    """Return the recommended graph of a version."""
    return GraphRevision(1, "recommended", document, graph_etag(document), at)


def next_revision(current: GraphRevision | None, document: str, at: datetime) -> GraphRevision:
    """Return the edit that follows `current`."""
    revision = current.revision + 1 if current else 1
    return GraphRevision(revision, "edited", document, graph_etag(document), at)


def graph_etag(document: str) -> str:
    """Return the entity tag of a graph: the same for the same document."""
    return hashlib.sha256(document.encode()).hexdigest()[:_ETAG_DIGITS]
