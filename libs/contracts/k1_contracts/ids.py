"""Identifiers: a type prefix and a time-ordered ULID, for example `trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD`."""

from hashlib import sha256
from typing import Annotated, Literal

from pydantic import StringConstraints
from ulid import ULID

Prefix = Literal[
    "trk", "job", "dep", "art", "upl", "evt", "wrk", "lnk", "usr", "ses", "key", "whk", "dlv", "alm",
]  # fmt: skip

_BODY = "[0-9A-HJKMNP-TV-Z]{26}"

TRACK_ID_PATTERN = f"^trk_{_BODY}$"
TrackId = Annotated[str, StringConstraints(pattern=TRACK_ID_PATTERN)]
JobId = Annotated[str, StringConstraints(pattern=f"^job_{_BODY}$")]
ArtefactId = Annotated[str, StringConstraints(pattern=f"^art_{_BODY}$")]
UPLOAD_ID_PATTERN = f"^upl_{_BODY}$"
UploadId = Annotated[str, StringConstraints(pattern=UPLOAD_ID_PATTERN)]
LinkId = Annotated[str, StringConstraints(pattern=f"^lnk_{_BODY}$")]
DeploymentId = Annotated[str, StringConstraints(pattern=f"^dep_{_BODY}$")]
WebhookId = Annotated[str, StringConstraints(pattern=f"^whk_{_BODY}$")]
DeliveryId = Annotated[str, StringConstraints(pattern=f"^dlv_{_BODY}$")]
AlarmId = Annotated[str, StringConstraints(pattern=f"^alm_{_BODY}$")]
UserId = Annotated[str, StringConstraints(pattern=f"^usr_{_BODY}$")]
SessionId = Annotated[str, StringConstraints(pattern=f"^ses_{_BODY}$")]
KeyId = Annotated[str, StringConstraints(pattern=f"^key_{_BODY}$")]
Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


def new_id(prefix: Prefix) -> str:
    """A new id; ids of one process sort by the time they were made."""
    return f"{prefix}_{ULID()}"


def derived_id(prefix: Prefix, *parts: str) -> str:
    """The same id for the same parts: what a retried step makes again it makes under the same name."""
    digest = sha256("\x1f".join(parts).encode()).digest()
    return f"{prefix}_{ULID.from_bytes(digest[:16])}"
