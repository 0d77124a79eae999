"""The settings of ingest: environment variables K1_INGEST_*."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from k1_platform.settings import HttpSettings


class IngestSettings(HttpSettings):
    """The settings of ingest."""

    model_config = SettingsConfigDict(env_prefix="K1_INGEST_")

    max_bytes: int = Field(
        default=50_000_000, gt=0, description="The largest song accepted, in bytes; 50 MB are 50,000,000."
    )
    max_minutes: float = Field(
        default=20.0,
        gt=0,
        description="The longest song accepted, in minutes; keep it equal to K1_ANALYSIS_MAX_MINUTES.",
    )
    concurrent_uploads: int = Field(
        # Each holds one of the object store's 16 threads while its bytes arrive.
        default=8,
        ge=1,
        le=12,
        description="Uploads that are received at the same time; further uploads wait.",
    )
    queue_timeout_s: float = Field(
        default=30, gt=0, description="How long an upload waits for a place before it is rejected."
    )
    spool_dir: Path | None = Field(
        default=None,
        description="The folder of songs that are being probed; by default the temporary folder of the system.",
    )
    probe_processes: int = Field(
        default=1, ge=1, description="Processes that decode the beginning of uploads."
    )
