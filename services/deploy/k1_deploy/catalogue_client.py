"""The client of the catalogue's queries."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from faststream.nats import NatsBroker

from k1_contracts.graph import GraphImpact
from k1_contracts.messages.catalogue.graphs import KEY_LIST, KeySet, ListKeys
from k1_contracts.messages.catalogue.tracks import GENESIS_GET, GetGenesis
from k1_contracts.messages.deploy.bundles import (
    BUNDLE_INFO,
    GRAPH_COMPARE,
    BundleInfo,
    CompareGraphs,
    GetBundle,
)
from k1_contracts.messages.deploy.deployments import ActivateOnDownbeat
from k1_platform.nats.queries.rpc import request
from k1_platform.nats.queries.rpc_documents import request_document


@dataclass(frozen=True, slots=True)
class CatalogueClient:
    """Each method raises QueryError when the catalogue responds with an error or not at all."""

    broker: NatsBroker

    async def get_bundle(self, query: GetBundle) -> BundleInfo:
        """Return the bundle of a version, with what the gates check."""
        return await request(self.broker, BUNDLE_INFO, query)

    async def compare(self, query: CompareGraphs) -> GraphImpact:
        """Return what would change for a device that runs another bundle."""
        return await request(self.broker, GRAPH_COMPARE, query)

    async def downbeats(self, song: ActivateOnDownbeat) -> Sequence[float]:
        """Return the times of a song's downbeats, in ms from its beginning."""
        query = GetGenesis(track_id=song.track_id, version=song.version, layers=["rhythm"])
        found = await request_document(self.broker, GENESIS_GET, query)
        rhythm = json.loads(found.json())["layers"]["rhythm"]
        return [float(position) for position in rhythm["downbeat_ms"]]

    async def list_keys(self) -> KeySet:
        """Return the public keys that bundles are signed with."""
        return await request(self.broker, KEY_LIST, ListKeys())
