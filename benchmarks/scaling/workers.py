"""Starts and stops worker processes, as a Deployment starts and stops pods."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_STOP_TIMEOUT_S: Final = 300


@dataclass(slots=True)
class Pod:
    """One worker process, from its start to its end; times of `time.monotonic`."""

    process: subprocess.Popen[bytes]
    started_s: float
    is_stopping: bool = False
    ended_s: float | None = None


@dataclass
class Workers:
    """Keeps a number of worker processes of one slot each; a stopped one finishes its song."""

    environment: Mapping[str, str]
    pods: list[Pod] = field(default_factory=list[Pod])

    def scale(self, replicas: int) -> None:
        """Start or stop processes until `replicas` of them are not stopping."""
        self.record_ends()
        running = [pod for pod in self.pods if not pod.is_stopping]
        for pod in running[replicas:]:
            pod.process.terminate()
            pod.is_stopping = True
        for _ in range(replicas - len(running)):
            self._start()

    def record_ends(self) -> None:
        """Note when processes ended."""
        for pod in self.pods:
            if pod.ended_s is None and pod.process.poll() is not None:
                pod.ended_s = time.monotonic()

    def stop(self) -> None:
        """Stop all and wait until they have ended."""
        self.scale(0)
        for pod in self.pods:
            pod.process.wait()
        self.record_ends()

    @property
    def pod_seconds(self) -> float:
        """For how long processes ran, in sum."""
        now = time.monotonic()
        return sum((pod.ended_s or now) - pod.started_s for pod in self.pods)

    def _start(self) -> None:
        settings = {
            "K1_ANALYSIS_ROLE": "worker",
            "K1_ANALYSIS_SLOTS": "1",
            "K1_ANALYSIS_POD": f"worker-{len(self.pods)}",
            "K1_ANALYSIS_STOP_TIMEOUT_S": str(_STOP_TIMEOUT_S),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "k1_analysis"],
            env={**os.environ, **self.environment, **settings},
            stderr=subprocess.DEVNULL,
        )
        self.pods.append(Pod(process, time.monotonic()))
