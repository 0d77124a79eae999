"""Holds what the devices of one process share."""

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from k1_platform.settings import NatsSettings
from k1_simulator.event_log import EventLog
from k1_simulator.verification import SignatureCache

_CONNECTING_AT_ONCE: Final = 64
_TRANSFERS_AT_ONCE: Final = 64


@dataclass(frozen=True, slots=True)
class Servers:
    """The addresses of the servers.

    Devices without their own credential connect to NATS by the settings in `nats`. The CA of `nats` is also used for
    MQTT and for bundles.
    """

    nats: NatsSettings
    mqtt_url: str | None = None


@dataclass(frozen=True, slots=True)
class BehaviourConfig:
    """Configures the behaviour of all devices of a run."""

    telemetry: bool = True
    readings_a_message: int = 1
    reconnect_s: float = 1.0
    """The mean time after which a device reconnects."""


@dataclass(frozen=True, slots=True)
class FleetContext:
    """The shared parts of one fleet; create it in the fleet's event loop."""

    servers: Servers
    behaviour: BehaviourConfig
    seed: int
    event_log: EventLog
    http: aiohttp.ClientSession
    tls: ssl.SSLContext | None = None
    """Verifies the servers of mqtts:// URLs; None if no server uses TLS."""
    checks: SignatureCache = field(default_factory=SignatureCache)
    connection_slots: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(_CONNECTING_AT_ONCE)
    )
    transfer_slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_TRANSFERS_AT_ONCE))
