"""Creates bundles, keys and commands for tests."""

import base64
import json
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from k1_contracts.ids import derived_id
from k1_contracts.messages.deploy.device_link import COMMANDS, DeviceReply, Verb
from k1_graph.bundle.container import Bundle, build_bundle, key_id
from k1_graph.recommendation.recommender import recommend
from k1_graph.testing import synthetic_map
from k1_simulator.profile import Profile
from k1_simulator.state_machine.machine import Machine
from k1_simulator.state_machine.memory import HeldBundle, Memory
from k1_simulator.state_machine.transition import Effect, SendReply

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
TRACK = derived_id("trk", "test")
DEVICE = "k1-test-0001"
NOW = 5000.0
"""The time at which commands arrive, unless a test says otherwise; in seconds of the device's clock."""


def jwk_set(*keys: Ed25519PrivateKey) -> str:
    """Return the public keys as a JWK set, as the catalogue does."""
    return json.dumps(
        {"keys": [{"kid": kid(key), "x": x(key)} for key in keys]},
    )


def kid(key: Ed25519PrivateKey) -> str:
    return key_id(key.public_key())


def x(key: Ed25519PrivateKey) -> str:
    return base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).decode().rstrip("=")


@cache
def bundle(seed: int, key: Ed25519PrivateKey = KEY) -> Bundle:
    """Return a show; each seed gives other bytes."""
    genesis = synthetic_map(30_000.0, seed=seed)
    graph = recommend(genesis, "edm").graph
    return build_bundle(genesis=genesis, graph=graph, track_id=TRACK, track_version=1, key=key)


def address(number: int) -> str:
    """Return a SHA-256 for tests that need no bytes."""
    return f"{number:064x}"


def fresh(**fields: Any) -> Machine:
    """Return a device with an empty memory."""
    return Machine(Profile(), Memory(device_id=DEVICE, trusted={kid(KEY): x(KEY)}, **fields))


def held(number: int) -> HeldBundle:
    return HeldBundle(bundle_sha256=address(number), track_id=TRACK, version=number, size=1000)


def command(verb: Verb, command_id: str = "c1", **fields: Any) -> bytes:
    """Return the body of a valid command."""
    if verb == "stage":
        fields = {
            "size": 1000,
            "url": "http://nowhere/x",
            "chunk_size": 1000,
            "track_id": TRACK,
            "version": 1,
        } | fields
    return COMMANDS[verb](command_id=command_id, **fields).to_json()


def staged(machine: Machine, number: int, command_id: str = "s", **fields: Any) -> None:
    """Stage a bundle completely."""
    machine.receive("stage", command("stage", command_id, bundle_sha256=address(number), **fields), NOW)
    machine.transferred()


def replies(effects: list[Effect]) -> list[DeviceReply]:
    return [effect.reply for effect in effects if isinstance(effect, SendReply)]


def reply(effects: list[Effect]) -> DeviceReply:
    """Return the only reply."""
    (found,) = replies(effects)
    return found
