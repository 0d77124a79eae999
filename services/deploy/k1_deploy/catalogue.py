"""What deploy asks of the catalogue."""

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
from k1_platform.rpc import ask
from k1_platform.rpc_documents import ask_document


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Each question raises AnswerError: the catalogue's own word, or that it does not answer."""

    broker: NatsBroker

    async def get_bundle(self, question: GetBundle) -> BundleInfo:
        """The bundle of a version and what the gates look at."""
        return await ask(self.broker, subjects.RPC_BUNDLE_INFO, question, BundleInfo)

    async def compare(self, question: CompareGraphs) -> GraphImpact:
        """What changes for a device that runs another bundle."""
        return await ask(self.broker, subjects.RPC_GRAPH_COMPARE, question, GraphImpact)

    async def downbeats(self, song: ActivateOnDownbeat) -> Sequence[float]:
        """Where the bars of a song begin, in ms from its beginning."""
        question = GetGenesis(track_id=song.track_id, version=song.version, layers=["rhythm"])
        found = await ask_document(self.broker, subjects.RPC_GENESIS_GET, question)
        rhythm = json.loads(found.json())["layers"]["rhythm"]
        return [float(position) for position in rhythm["downbeat_ms"]]

    async def list_keys(self) -> KeySet:
        """The public keys that bundles are signed with."""
        return await ask(self.broker, subjects.RPC_KEY_LIST, ListKeys(), KeySet)
