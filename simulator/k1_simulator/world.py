"""What the devices of one process share."""

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from k1_platform.settings import NatsSettings
from k1_simulator.journal import Journal
from k1_simulator.verification import SignatureChecks

_CONNECTING_AT_ONCE: Final = 64
_TRANSFERS_AT_ONCE: Final = 64


@dataclass(frozen=True, slots=True)
class Servers:
    """Where they are. Devices without a credential of their own connect to NATS as `nats` says.

    The CA of `nats` also counts for MQTT and for bundles.
    """

    nats: NatsSettings
    mqtt_url: str | None = None


@dataclass(frozen=True, slots=True)
class Habits:
    """How all devices of a run behave."""

    telemetry: bool = True
    readings_a_message: int = 1
    reconnect_s: float = 1.0
    """About how long after a lost connection a device tries again."""


@dataclass(frozen=True, slots=True)
class World:
    """One a fleet, made within its event loop."""

    servers: Servers
    habits: Habits
    seed: int
    journal: Journal
    http: aiohttp.ClientSession
    tls: ssl.SSLContext | None = None
    """Whom the devices believe on mqtts:// URLs; None: nobody speaks TLS."""
    checks: SignatureChecks = field(default_factory=SignatureChecks)
    connecting: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_CONNECTING_AT_ONCE))
    transferring: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_TRANSFERS_AT_ONCE))
