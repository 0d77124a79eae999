"""The client of the catalogue's queries."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from faststream.nats import NatsBroker

from k1_contracts import subjects
from k1_contracts.graph import GraphImpact
from k1_contracts.messages.bundles import BundleInfo, CompareGraphs, GetBundle
from k1_contracts.messages.deployments import ActivateOnDownbeat
from k1_contracts.messages.graphs import KeySet, ListKeys
from k1_contracts.messages.tracks import GetGenesis
from k1_platform.nats.rpc import request
from k1_platform.nats.rpc_documents import request_document


@dataclass(frozen=True, slots=True)
class CatalogueClient:
    """Each method raises AnswerError when the catalogue responds with an error or not at all."""

    broker: NatsBroker

    async def get_bundle(self, query: GetBundle) -> BundleInfo:
        """Return the bundle of a version, with what the gates check."""
        return await request(self.broker, subjects.RPC_BUNDLE_INFO, query, BundleInfo)

    async def compare(self, query: CompareGraphs) -> GraphImpact:
        """Return what would change for a device that runs another bundle."""
        return await request(self.broker, subjects.RPC_GRAPH_COMPARE, query, GraphImpact)

    async def downbeats(self, song: ActivateOnDownbeat) -> Sequence[float]:
        """Return the times of a song's downbeats, in ms from its beginning."""
        query = GetGenesis(track_id=song.track_id, version=song.version, layers=["rhythm"])
        found = await request_document(self.broker, subjects.RPC_GENESIS_GET, query)
        rhythm = json.loads(found.json())["layers"]["rhythm"]
        return [float(position) for position in rhythm["downbeat_ms"]]

    async def list_keys(self) -> KeySet:
        """Return the public keys that bundles are signed with."""
        return await request(self.broker, subjects.RPC_KEY_LIST, ListKeys(), KeySet)
