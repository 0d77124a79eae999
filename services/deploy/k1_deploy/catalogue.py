"""What deploy asks of the catalogue."""

from dataclasses import dataclass

from faststream.nats import NatsBroker

from k1_contracts import subjects
from k1_contracts.deployments import BundleInfo, CompareGraphs, GetBundle
from k1_contracts.graph import GraphImpact
from k1_contracts.graph_queries import KeySet, ListKeys
from k1_platform.rpc import ask


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

    async def list_keys(self) -> KeySet:
        """The public keys that bundles are signed with."""
        return await ask(self.broker, subjects.RPC_KEY_LIST, ListKeys(), KeySet)
