"""Tests that every loop with growing pauses keeps its pauses."""

import pytest

from k1_cli.stack.supervisor import RESTART_BACKOFF
from k1_deploy.orchestration.steps.device_commands import RETRY_BACKOFF
from k1_platform.nats.dead_letters.middleware import REDELIVERY_BACKOFF
from k1_platform.processes.backoff import BackoffSchedule
from k1_platform.processes.worker_pool import START_BACKOFF
from k1_simulator.transfers.download import FETCH_BACKOFF
from k1_telemetry.leadership.publisher import PUBLISH_BACKOFF


@pytest.mark.parametrize(
    ("schedule", "pauses_s", "jitter"),
    [
        (REDELIVERY_BACKOFF, [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60, 60], (0.7, 1.3)),
        (START_BACKOFF, [0.5, 1, 2, 4, 8, 16, 30, 30], (1, 1)),
        (RESTART_BACKOFF, [0.5, 1, 2, 4, 8, 16, 30, 30], (1, 1)),
        (RETRY_BACKOFF, [0.2, 0.4, 0.8, 1.6, 3, 3], (0.5, 1.0)),
        (PUBLISH_BACKOFF, [0.1, 0.2, 0.4, 0.8, 1.6, 2, 2], (0.7, 1.3)),
        (FETCH_BACKOFF, [0.1, 0.2, 0.4, 0.8], (1, 2)),
    ],
)
def test_pauses_of_the_system(
    schedule: BackoffSchedule, pauses_s: list[float], jitter: tuple[float, float]
) -> None:
    """The pauses of redeliveries, restarts, commands, events and downloads are these."""
    assert [schedule.pause_s(number) for number in range(1, len(pauses_s) + 1)] == pauses_s
    assert schedule.jitter == jitter
