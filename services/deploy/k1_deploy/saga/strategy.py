"""The rollout strategy: which devices form a batch, and how many may fail. Pure."""

from collections.abc import Sequence

from k1_contracts.messages.deploy.deployments import Strategy


def batches(strategy: Strategy, device_ids: Sequence[str]) -> list[list[str]]:
    """Return the devices in the order of their activation: the canary first, then batch by batch."""
    first = min(strategy.canary, len(device_ids))
    rest = device_ids[first:]
    size = strategy.batch_size or max(len(rest), 1)
    groups = [list(rest[start : start + size]) for start in range(0, len(rest), size)]
    return [list(device_ids[:first]), *groups] if first else groups


def allowed_failures(strategy: Strategy, total: int) -> int:
    """Return how many of `total` devices may fail; a percentage is rounded down."""
    if isinstance(strategy.max_failures, str):
        return total * int(strategy.max_failures.removesuffix("%")) // 100
    return strategy.max_failures
