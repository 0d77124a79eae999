"""Defines the queries about deleting artefacts, links to them, and the use of the object store; and `storage.alert`."""

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from k1_contracts.base import Contract, UtcTime
from k1_contracts.descriptors import Event, Query
from k1_contracts.ids import ArtefactId, LinkId, TrackId
from k1_contracts.messages.catalogue.media import StoredObject
from k1_contracts.messages.catalogue.tracks import Artefact
from k1_contracts.rpc import Cursor, Limit
from k1_contracts.streams import EVENTS
from k1_contracts.tracks import Version

DAY_S: Final = 86_400
Token = Annotated[str, StringConstraints(pattern="^[A-Za-z0-9_-]{20,60}$")]
ExpiresIn = Annotated[int, Field(ge=60, le=30 * DAY_S)]


class DeleteArtefact(Contract):
    track_id: TrackId
    version: Version
    artefact_id: ArtefactId


class ArtefactDeleted(Contract):
    """An artefact was deleted; it can be restored."""

    undo_token: str
    expires_at: UtcTime
    """Until when `undo_token` works: 30 seconds."""
    restorable_until: UtcTime
    """Until when an editor can restore it without the token; then cleanup removes it."""


class RestoreArtefact(DeleteArtefact):
    undo_token: Token | None = None
    """Within 30 seconds. Without it the artefact is restored within 30 days."""


class ArtefactRestored(Contract):
    artefact: Artefact


class CopyLink(DeleteArtefact):
    expires_in: ExpiresIn = DAY_S
    """Seconds: a minute to 30 days."""


class Link(Contract):
    """A link to an artefact. Its token is known only to whoever made it."""

    id: LinkId
    track_id: TrackId
    version: Version
    artefact_id: ArtefactId
    name: str
    size_bytes: int
    owner_id: str
    owner_name: str
    created_at: UtcTime
    expires_at: UtcTime
    uses: int
    """How often its content was requested."""
    last_used_at: UtcTime | None = None


class NewLink(Contract):
    link: Link
    token: str
    """Shown once: only its hash is stored."""
    path: str
    """The path of the link at the gateway."""


class ListLinks(Contract):
    limit: Limit = 50
    cursor: Cursor | None = None


class LinkPage(Contract):
    """The links that still work, newest first: one's own, for an admin all."""

    total: int
    items: list[Link]
    next_cursor: Cursor | None = None


class RevokeLink(Contract):
    token: Token
    """The link's token or its id."""


class LinkRevoked(Contract):
    id: LinkId
    revoked_at: UtcTime


class OpenLink(Contract):
    token: Token
    count: bool = True
    """Whether this is a use; a HEAD request and a later part of a download are none."""


class GetStorageUsage(Contract):
    pass


class TypeUsage(Contract):
    type: str
    objects: int
    bytes: int


class LargeArtefact(Contract):
    track_id: TrackId
    title: str
    version: Version
    artefact_id: ArtefactId
    type: str
    name: str
    size_bytes: int


class StorageAlert(Contract):
    code: Literal["storage_nearly_full"]
    message: str
    since: UtcTime


class StorageAlertChanged(StorageAlert):
    """The store became nearly full (`raised`), or has room again (`cleared`): once for each crossing."""

    state: Literal["raised", "cleared"]
    used_bytes: int
    total_bytes: int | None = None
    """The quota or disk; None when it was taken away, which clears the alert."""
    at: UtcTime


class StorageUsage(Contract):
    """How much the objects take."""

    total_bytes: int | None = None
    """The quota; None where none is set."""
    used_bytes: int
    used_ratio: float | None = None
    objects: int
    by_type: list[TypeUsage]
    """Largest first; `audio` are the uploads, `unreferenced` is what nothing refers to."""
    top_artefacts: list[LargeArtefact]
    reclaimable_bytes: int
    """What a cleanup would remove now."""
    reclaimable_objects: int
    alert: StorageAlert | None = None
    measured_at: UtcTime


class CleanUpStorage(Contract):
    dry_run: bool = True


CleanupReason = Literal["deleted", "replaced", "orphan"]


class RemovedObject(Contract):
    key: str
    size_bytes: int
    reason: CleanupReason


class StorageCleanup(Contract):
    """What a cleanup removed; for a dry run, what it would remove."""

    dry_run: bool
    objects: int
    bytes: int
    removed: list[RemovedObject]
    """At most a thousand, largest first."""
    kept_in_use: int = 0
    """Objects that came into use while the cleanup ran, and were left alone."""


STORAGE_ALERT: Final = Event(
    "storage.alert",
    StorageAlertChanged,
    summary="The object store became nearly full, or has room again",
    senders=("catalogue",),
    receivers=("gateway",),
    stream=EVENTS,
    subject_id=lambda event: event.code,
    time=lambda event: event.at,
    key=lambda event: f"{event.code}/{event.state}/{event.since.isoformat()}",
)
ARTEFACT_DELETE: Final = Query(
    "rpc.catalogue.artefact.delete",
    DeleteArtefact,
    ArtefactDeleted,
    summary="Delete an artefact",
    role="editor",
)
ARTEFACT_RESTORE: Final = Query(
    "rpc.catalogue.artefact.restore",
    RestoreArtefact,
    ArtefactRestored,
    summary="Restore a deleted artefact",
    role="editor",
)
LINK_CREATE: Final = Query(
    "rpc.catalogue.link.create", CopyLink, NewLink, summary="Make a link to an artefact", role="editor"
)
LINK_LIST: Final = Query(
    "rpc.catalogue.link.list", ListLinks, LinkPage, summary="The links that work", role="editor"
)
LINK_REVOKE: Final = Query(
    "rpc.catalogue.link.revoke", RevokeLink, LinkRevoked, summary="Revoke a link", role="editor"
)
LINK_OPEN: Final = Query(
    "rpc.catalogue.link.open",
    OpenLink,
    StoredObject,
    summary="The object behind a link, for anyone who has it",
)
STORAGE_USAGE: Final = Query(
    "rpc.catalogue.storage.usage", GetStorageUsage, StorageUsage, summary="How much is stored"
)
STORAGE_CLEANUP: Final = Query(
    "rpc.catalogue.storage.cleanup",
    CleanUpStorage,
    StorageCleanup,
    summary="Remove what nothing refers to",
    role="admin",
)
