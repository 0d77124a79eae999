"""The settings of the catalogue: environment variables that begin with K1_CATALOGUE_."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from k1_platform.settings import HttpSettings


class CatalogueSettings(HttpSettings):
    """Settings of the catalogue alone; the platform's settings name the servers."""

    model_config = SettingsConfigDict(env_prefix="K1_CATALOGUE_")

    consumers: int = Field(default=8, ge=1, description="Events that one process handles at a time.")
    storage_quota_bytes: int | None = Field(
        default=None, gt=0, description="How much the object store may hold; an alert comes at 80 %."
    )
    storage_disk: Path | None = Field(
        default=None,
        description="Without a quota: a folder on the disk of the object store; the disk's free space is the limit.",
    )
    keep_deleted_days: float = Field(
        default=30, ge=0, description="How long a deleted artefact can be restored."
    )
    keep_replaced_days: float = Field(
        default=7, ge=0, description="How long a cleanup keeps an artefact that a newer one replaced."
    )
    cleanup_min_age_hours: float = Field(
        default=24,
        gt=0,
        description="A cleanup keeps objects that were stored in this time: the rows about them may still come.",
    )
    keep_jobs_days: float = Field(
        default=90,
        gt=0,
        description="How long jobs that have ended are kept; the latest 100 analyses always.",
    )
    max_unfinished_jobs: int = Field(
        default=1000, gt=0, description="Jobs of one person that wait or run; further requests are 429."
    )
    price_cpu_hour: float = Field(default=0.04, ge=0, description="US dollars for an hour of one CPU.")
    price_gib_month: float = Field(
        default=0.023, ge=0, description="US dollars for a GiB stored for a month."
    )
    price_keep_months: float = Field(
        default=12, ge=0, description="How long the cost of a job assumes that its artefacts are kept."
    )
