"""The index of the service: every subject and what handles it."""

from k1_contracts import streams
from k1_deploy.inventory import Inventory
from k1_platform.broker import Bus
from k1_platform.consuming import consume


def consume_hellos(bus: Bus, inventory: Inventory, *, workers: int) -> None:
    """Subscribe to what devices say when they connect: `device.*.hello`, without an envelope."""
    consume(bus.broker, streams.DEPLOY_DEVICES, inventory.hello, workers=workers)
