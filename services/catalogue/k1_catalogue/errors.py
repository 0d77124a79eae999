"""The errors of the catalogue.

A query without an answer fails with an error that has a code; each function here returns one such error. An event that
came too early raises the platform's TransientError and is delivered again. An event whose artefacts are wrong raises
PermanentError and becomes a dead letter.
"""

from collections.abc import Sequence
from http import HTTPStatus

from k1_contracts.graph import Violation
from k1_platform.nats.queries.rpc import QueryError


def track_not_found(track_id: str) -> QueryError:
    return QueryError("track_not_found", f"There is no track {track_id}.", HTTPStatus.NOT_FOUND)


def track_deleted(track_id: str) -> QueryError:
    message = f"Track {track_id} is deleted; restore it first."
    return QueryError("track_deleted", message, HTTPStatus.CONFLICT)


def track_uploading(track_id: str) -> QueryError:
    message = (
        f"Track {track_id} waits for its song; send the song and complete the track first. "
        "Without a song it is removed within an hour."
    )
    return QueryError("track_uploading", message, HTTPStatus.CONFLICT)


def track_changed() -> QueryError:
    message = "The track has changed since you read it; read it again and repeat your change."
    return QueryError("track_changed", message, HTTPStatus.PRECONDITION_FAILED)


def track_purged(track_id: str) -> QueryError:
    message = f"Track {track_id} is being removed for good and cannot be restored; upload the song again."
    return QueryError("track_purged", message, HTTPStatus.CONFLICT)


def version_unusable(track_id: str, version: int) -> QueryError:
    message = f"Version {version} of {track_id} has no map, so it cannot be the current one; choose another."
    return QueryError("version_unusable", message, HTTPStatus.CONFLICT)


def no_earlier_version(track_id: str, version: int) -> QueryError:
    message = (
        f"Track {track_id} has no version with a map before {version}; name another one to compare with."
    )
    return QueryError("version_not_found", message, HTTPStatus.NOT_FOUND)


def history_unavailable(track_id: str, begin: str) -> QueryError:
    message = f"The history of {track_id} begins at {begin}; ask for a later time."
    return QueryError("history_unavailable", message, HTTPStatus.NOT_FOUND)


def invalid_edit(message: str) -> QueryError:
    return QueryError("invalid_edit", message, HTTPStatus.UNPROCESSABLE_ENTITY)


def batch_key_reused(key: str) -> QueryError:
    message = f"The idempotency key {key!r} was used for another batch; use a new one."
    return QueryError("idempotency_key_reused", message, HTTPStatus.UNPROCESSABLE_ENTITY)


def version_not_found(track_id: str, version: int) -> QueryError:
    message = f"Track {track_id} has no version {version}; the track's detail lists its versions."
    return QueryError("version_not_found", message, HTTPStatus.NOT_FOUND)


def job_not_found(job_id: str) -> QueryError:
    return QueryError("job_not_found", f"There is no job {job_id}.", HTTPStatus.NOT_FOUND)


def job_ended(job_id: str, status: str) -> QueryError:
    message = f"Job {job_id} is {status} already; only a queued or running job can be cancelled."
    return QueryError("job_ended", message, HTTPStatus.CONFLICT)


def job_not_queued(job_id: str, status: str) -> QueryError:
    what = "has just been taken by a worker" if status == "queued" else f"is {status}"
    message = f"Job {job_id} {what}; only a job that waits can be moved in the queue."
    return QueryError("job_not_queued", message, HTTPStatus.CONFLICT)


def too_many_jobs(limit: int) -> QueryError:
    message = f"You have {limit} jobs that have not ended; wait for some to end, or cancel them."
    return QueryError("too_many_jobs", message, HTTPStatus.TOO_MANY_REQUESTS)


def job_not_retryable(job_id: str, status: str) -> QueryError:
    message = f"Job {job_id} is {status}; only a failed or cancelled job can be repeated."
    return QueryError("job_not_retryable", message, HTTPStatus.CONFLICT)


def genesis_pending(track_id: str, version: int) -> QueryError:
    message = f"Version {version} of {track_id} is still being analysed; try again when its job has ended."
    return QueryError("genesis_pending", message, HTTPStatus.CONFLICT)


def genesis_missing(track_id: str, version: int) -> QueryError:
    message = f"Version {version} of {track_id} has no map, because its analysis did not complete."
    return QueryError("genesis_missing", message, HTTPStatus.NOT_FOUND)


def empty_window(from_ms: float, to_ms: float) -> QueryError:
    message = f"from_ms ({from_ms:g}) must be less than to_ms ({to_ms:g})."
    return QueryError("invalid_request", message, HTTPStatus.UNPROCESSABLE_ENTITY)


def idempotency_key_reused(key: str) -> QueryError:
    message = f"The idempotency key {key!r} was used for another request on this track; use a new one."
    return QueryError("idempotency_key_reused", message, HTTPStatus.UNPROCESSABLE_ENTITY)


def graph_missing(track_id: str, version: int) -> QueryError:
    message = f"Version {version} of {track_id} has no graph; put one, or analyse the song again."
    return QueryError("graph_missing", message, HTTPStatus.NOT_FOUND)


def graph_invalid(message: str, violations: Sequence[Violation]) -> QueryError:
    return QueryError("graph_invalid", message, HTTPStatus.UNPROCESSABLE_ENTITY, violations=violations)


def graph_changed() -> QueryError:
    message = "The graph has changed since you read it; read it again and repeat your change."
    return QueryError("graph_changed", message, HTTPStatus.PRECONDITION_FAILED)


def graph_changed_during_simulation() -> QueryError:
    message = "The graph was edited while it was being simulated; simulate it again."
    return QueryError("graph_changed", message, HTTPStatus.CONFLICT)


def bundle_failed(reason: Exception) -> QueryError:
    message = f"No bundle can be made of this graph: {reason}"
    return QueryError("bundle_failed", message, HTTPStatus.UNPROCESSABLE_ENTITY)


def bundle_missing(track_id: str, version: int) -> QueryError:
    message = (
        f"Version {version} of {track_id} has no bundle, because its graph was edited or could not be packed: "
        "simulate the version, which makes one."
    )
    return QueryError("bundle_missing", message, HTTPStatus.CONFLICT)


def bundle_unknown(sha256: str) -> QueryError:
    message = f"There is no bundle {sha256} here, so its graph is not known."
    return QueryError("bundle_unknown", message, HTTPStatus.NOT_FOUND)


def beats_invalid(faults: Sequence[Violation]) -> QueryError:
    message = f"The beats cannot be used; nothing was changed. First: {faults[0].message} {faults[0].fix}"
    return QueryError("beats_invalid", message, HTTPStatus.UNPROCESSABLE_ENTITY, violations=faults)


def operation_invalid(reason: Exception) -> QueryError:
    return QueryError("operation_invalid", str(reason), HTTPStatus.UNPROCESSABLE_ENTITY)


def override_changed() -> QueryError:
    message = (
        "Someone has made a newer version since you read these beats; read them again and repeat your change."
    )
    return QueryError("override_changed", message, HTTPStatus.PRECONDITION_FAILED)


def override_missing(track_id: str, base_version: int) -> QueryError:
    message = (
        f"The newest version made of version {base_version} of {track_id} has its automatic beats already; "
        "to use an earlier one again, set it as the current version."
    )
    return QueryError("override_missing", message, HTTPStatus.NOT_FOUND)


def graph_changed_during_override() -> QueryError:
    message = "The graph was edited while the beats were being saved; save them again."
    return QueryError("graph_changed", message, HTTPStatus.CONFLICT)


def artefact_not_found(artefact_id: str) -> QueryError:
    message = f"This version has no artefact {artefact_id}; its list of artefacts names them."
    return QueryError("artefact_not_found", message, HTTPStatus.NOT_FOUND)


def artefact_in_use(name: str, version: int) -> QueryError:
    message = f"{name} is needed: version {version} is deployed. Deploy another version first."
    return QueryError("artefact_in_use", message, HTTPStatus.CONFLICT)


def artefact_expired(name: str) -> QueryError:
    message = f"{name} was deleted too long ago to be restored; analyse the song again."
    return QueryError("artefact_expired", message, HTTPStatus.GONE)


def undo_expired() -> QueryError:
    message = (
        "This undo token is not that of the deletion, or its 30 seconds are over: restore without a token."
    )
    return QueryError("undo_expired", message, HTTPStatus.CONFLICT)


def link_not_found() -> QueryError:
    return QueryError("link_not_found", "There is no such link.", HTTPStatus.NOT_FOUND)


def link_ended(*, revoked: bool) -> QueryError:
    code, reason = ("link_revoked", "was revoked") if revoked else ("link_expired", "has expired")
    return QueryError(code, f"This link {reason}; ask for a new one.", HTTPStatus.GONE)


def waveform_missing(track_id: str, version: int | None) -> QueryError:
    which = f"Version {version} of {track_id}" if version is not None else f"Track {track_id}"
    message = f"{which} has no waveform; analyse the song again, which makes one."
    return QueryError("waveform_missing", message, HTTPStatus.NOT_FOUND)


def cleanup_running() -> QueryError:
    message = "A cleanup runs already; its result is in the usage when it has ended."
    return QueryError("cleanup_running", message, HTTPStatus.CONFLICT)


def maintenance() -> QueryError:
    message = "A backup is being made, so nothing is removed from the store; clean up when it has ended."
    return QueryError("maintenance", message, HTTPStatus.SERVICE_UNAVAILABLE)


def map_not_stored(version: int) -> QueryError:
    message = f"The map of version {version} is no longer stored; analyse the song again."
    return QueryError("artefact_missing", message, HTTPStatus.NOT_FOUND)
