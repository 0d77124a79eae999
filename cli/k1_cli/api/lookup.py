"""Finds tracks, jobs, deployments and devices by id, by a unique prefix of the id, or by title; for every command.

`reference` is the text with which a person named the thing.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from k1_cli.api.client import GatewayClient, NotFoundError
from k1_cli.errors import CommandError
from k1_cli.json_types import JsonObject
from k1_cli.output.formatting import display_name, one_line, readable
from k1_cli.output.hints import k1_command
from k1_contracts.messages.deploy.device_link import DEVICE_ID
from k1_contracts.messages.deploy.devices import DeviceView

_TRACK_ID: Final = re.compile(r"trk_[0-9A-Z]{26}")
_JOB_ID: Final = re.compile(r"job_[0-9A-Z]{26}")
_DEPLOYMENT_ID: Final = re.compile(r"dep_[0-9A-Z]{26}")
_PAGE: Final = 200
_DEVICE_PAGE: Final = 1000
_MAX_CANDIDATES: Final = 10


def find_track(gateway: GatewayClient, reference: str, *, is_deleted: bool = False) -> str:
    """Return the id of the track with this id, prefix of an id, or title; of a deleted one if `is_deleted`.

    Raises:
        CommandError: none fits, or several do; the message lists them.
    """
    if _TRACK_ID.fullmatch(reference):
        return reference
    tracks = list(_all_tracks(gateway, **({"status": "deleted"} if is_deleted else {})))
    found = (
        [track for track in tracks if track["id"].startswith(reference)]
        if reference.startswith("trk_")
        else []
    )
    found = found or [track for track in tracks if _normalised(track["title"]) == _normalised(reference)]
    if not found:
        similar = [track for track in tracks if _normalised(reference) in _normalised(track["title"])]
        raise _not_found(
            "track",
            reference,
            [_track_line(track) for track in similar],
            f"{k1_command('tracks')} lists them",
        )
    return _require_one(found, reference, _track_line)["id"]


def find_job(gateway: GatewayClient, reference: str) -> str:
    """Return the id of the job with this id or prefix.

    Raises:
        CommandError: none fits, or several do; the message lists them.
    """
    if _JOB_ID.fullmatch(reference):
        return reference
    found = [job for job in _all_jobs(gateway) if job["job_id"].startswith(reference)]
    if not found:
        raise _not_found("job", reference, [], f"{k1_command('jobs list')} lists them")
    return _require_one(found, reference, lambda job: job["job_id"])["job_id"]


def find_deployment(gateway: GatewayClient, reference: str) -> str:
    """Return the id of the deployment with this id or prefix, or of the only one of a song with this title.

    Raises:
        CommandError: none fits, or several do; the message lists them.
    """
    if _DEPLOYMENT_ID.fullmatch(reference):
        return reference
    hint = f"{k1_command('deployments list')} lists them"
    if reference.startswith("dep_"):
        found = [item for item in _all_deployments(gateway) if item["id"].startswith(reference)]
        if not found:
            raise _not_found("deployment", reference, [], hint)
    else:
        try:
            track_id = find_track(gateway, reference)
        except NotFoundError as error:
            raise NotFoundError(
                f"{_quoted(reference)} is neither a deployment nor its song: {error}; {hint}"
            ) from error
        found = list(_all_deployments(gateway, track_id=track_id))
        if not found:
            raise NotFoundError(f"{_quoted(reference)} was never deployed; {hint}")
    return _require_one(found, reference, _deployment_line)["id"]


def find_device(gateway: GatewayClient, reference: str) -> JsonObject:
    """Return the device of this id, or the only one whose id has this prefix.

    Raises:
        CommandError: none fits, or several do; the message lists them.
    """
    if DEVICE_ID.fullmatch(reference):
        try:
            return gateway.device(reference)
        except NotFoundError:
            pass
    found = [device for device in _all_devices(gateway) if device["id"].startswith(reference)]
    if not found:
        raise _not_found("device", reference, [], f"{k1_command('devices list')} lists them")
    return _require_one(found, reference, lambda device: device["id"])


def list_devices(
    gateway: GatewayClient, *, group: str | None = None, revoked: bool = False
) -> list[DeviceView]:
    """Return all devices, or those of a group; with `revoked` also those that were revoked."""
    of_group = {} if group is None else {"group": group}
    found = _all_devices(gateway, include_revoked=revoked, **of_group)
    return [DeviceView.model_validate(device) for device in found]


def song_titles(gateway: GatewayClient, track_ids: Sequence[str]) -> dict[str, str]:
    """Return the title of each track by its id, as `song_title` does."""
    return {track_id: song_title(gateway, track_id) for track_id in dict.fromkeys(track_ids)}


def song_title(gateway: GatewayClient, track_id: str) -> str:
    """Return the title of a track, or its id where it is gone or the catalogue does not answer."""
    try:
        return gateway.track(track_id)["track"]["title"]
    except CommandError:
        return track_id


def current_version(track: JsonObject) -> int:
    """Return the number of the version in use.

    Raises:
        CommandError: the track has no version yet.
    """
    version: int | None = track.get("current_version")
    if version is None:
        raise CommandError(f"{track['id']} has no map yet: its status is {track['status']}")
    return version


def _all_tracks(gateway: GatewayClient, **query: str) -> Iterator[JsonObject]:
    yield from _all_pages(lambda **cursor: gateway.tracks(limit=_PAGE, **query, **cursor))


def _all_jobs(gateway: GatewayClient) -> Iterator[JsonObject]:
    path = "/analysis/jobs"
    yield from _all_pages(lambda **cursor: gateway.request("GET", path, params={"limit": _PAGE, **cursor}))


def _all_devices(gateway: GatewayClient, **query: str | bool) -> Iterator[JsonObject]:
    yield from _all_pages(lambda **cursor: gateway.devices(limit=_DEVICE_PAGE, **query, **cursor))


def _all_deployments(gateway: GatewayClient, **query: str) -> Iterator[JsonObject]:
    yield from _all_pages(lambda **cursor: gateway.deployments(limit=_PAGE, **query, **cursor))


def _all_pages(read: Callable[..., JsonObject]) -> Iterator[JsonObject]:
    page = read()
    yield from page["items"]
    while cursor := page.get("next_cursor"):
        page = read(cursor=cursor)
        yield from page["items"]


def _require_one(
    found: Sequence[JsonObject], reference: str, line: Callable[[JsonObject], str]
) -> JsonObject:
    if len(found) > 1:
        raise CommandError(
            f"{_quoted(reference)} may be any of these; give more of the id:{_indented_lines(list(map(line, found)))}"
        )
    return found[0]


def _not_found(kind: str, reference: str, similar: Sequence[str], hint: str) -> NotFoundError:
    near = f"; near it are:{_indented_lines(similar)}" if similar else f"; {hint}"
    return NotFoundError(f"there is no {kind} {_quoted(reference)}{near}")


def _quoted(reference: str) -> str:
    return f'"{one_line(reference)}"'


def _indented_lines(lines: Sequence[str]) -> str:
    more = [f"and {len(lines) - _MAX_CANDIDATES} more"] if len(lines) > _MAX_CANDIDATES else []
    return "".join(f"\n  {line}" for line in [*lines[:_MAX_CANDIDATES], *more])


def _track_line(track: JsonObject) -> str:
    return f"{track['id']}  {one_line(track['title'])}"


def _deployment_line(item: JsonObject) -> str:
    return f"{item['id']}  {item['created_at'][:16].replace('T', ' ')}  {display_name(item['status'])}"


def _normalised(title: str) -> str:
    return " ".join(unicodedata.normalize("NFC", readable(title)).casefold().split())
