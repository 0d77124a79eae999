"""Settings of the analysis service, from the environment variables K1_ANALYSIS_*."""

import socket
from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from k1_platform.processes.cpus import available_cpus
from k1_platform.settings import HttpSettings

Role = Literal["all", "front", "worker"]


class AnalysisSettings(HttpSettings):
    """Settings of one analysis pod."""

    model_config = SettingsConfigDict(env_prefix="K1_ANALYSIS_")

    role: Role = Field(
        default="all",
        description="front: puts jobs on the queue and responds to queries; worker: runs jobs; all: both.",
    )
    slots: int = Field(
        default_factory=available_cpus,
        ge=1,
        description="Songs analysed at once; one per core, or per core of the CPU quota of the container.",
    )
    pod: str = Field(
        default_factory=socket.gethostname, description="The name of this pod among the workers."
    )
    job_timeout_s: float = Field(default=300.0, gt=0, description="Longest time one try of a job may take.")
    simulate_timeout_s: float = Field(
        default=50.0, gt=0, description="Longest time that one simulation of a graph may take."
    )
    memory_mib: int = Field(default=1024, ge=256, description="Most resident memory of one job.")
    address_space_mib: int = Field(
        default=8192,
        ge=1024,
        description="RLIMIT_AS of a worker process: refuses absurd allocations at once.",
    )
    recycle_after: int = Field(
        default=100, ge=1, description="Songs after which a worker process is replaced."
    )
    max_minutes: float = Field(default=20.0, gt=0, description="Longest song that is analysed.")
    stop_timeout_s: float = Field(
        default=20.0,
        ge=0,
        description="On SIGTERM, how long running jobs may continue before they return to the queue.",
    )
