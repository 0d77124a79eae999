"""Finds tracks, deployments and devices by id, by a unique prefix of the id, or by title; for every command."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from k1_cli.errors import CommandError
from k1_cli.formatting import display_name, one_line, readable
from k1_cli.gateway import Gateway, JsonObject, NotFoundError
from k1_cli.hints import k1_command
from k1_contracts.messages.device_link import DEVICE_ID

_TRACK_ID: Final = re.compile(r"trk_[0-9A-Z]{26}")
_DEPLOYMENT_ID: Final = re.compile(r"dep_[0-9A-Z]{26}")
_PAGE: Final = 200
_DEVICE_PAGE: Final = 1000
_MOST_CANDIDATES: Final = 10


def find_track(gateway: Gateway, meant: str) -> str:
    """Return the id of the track with this id, prefix of an id, or title.

    Raises:
        CommandError: none fits, or several do: they are listed.
    """
    if _TRACK_ID.fullmatch(meant):
        return meant
    tracks = list(_all_tracks(gateway))
    found = [track for track in tracks if track["id"].startswith(meant)] if meant.startswith("trk_") else []
    found = found or [track for track in tracks if _folded(track["title"]) == _folded(meant)]
    if not found:
        alike = [track for track in tracks if _folded(meant) in _folded(track["title"])]
        raise _none(
            "track", meant, [_track_line(track) for track in alike], f"{k1_command('tracks')} lists them"
        )
    return _only(found, meant, _track_line)["id"]


def find_deployment(gateway: Gateway, meant: str) -> str:
    """Return the id of the deployment with this id or prefix, or of the only one of a song with this title.

    Raises:
        CommandError: none fits, or several do: they are listed.
    """
    if _DEPLOYMENT_ID.fullmatch(meant):
        return meant
    hint = f"{k1_command('deployments list')} lists them"
    if meant.startswith("dep_"):
        found = [item for item in _all_deployments(gateway) if item["id"].startswith(meant)]
        if not found:
            raise _none("deployment", meant, [], hint)
    else:
        try:
            track_id = find_track(gateway, meant)
        except NotFoundError as error:
            raise NotFoundError(
                f"{_quoted(meant)} is neither a deployment nor its song: {error}; {hint}"
            ) from error
        found = list(_all_deployments(gateway, track_id=track_id))
        if not found:
            raise NotFoundError(f"{_quoted(meant)} was never deployed; {hint}")
    return _only(found, meant, _deployment_line)["id"]


def find_device(gateway: Gateway, meant: str) -> JsonObject:
    """Return the device of this id, or the only one whose id has this prefix.

    Raises:
        CommandError: none fits, or several do: they are listed.
    """
    if DEVICE_ID.fullmatch(meant):
        try:
            return gateway.device(meant)
        except NotFoundError:
            pass
    found = [device for device in all_devices(gateway) if device["id"].startswith(meant)]
    if not found:
        raise _none("device", meant, [], f"{k1_command('devices list')} lists them")
    return _only(found, meant, lambda device: device["id"])


def all_devices(gateway: Gateway, **query: str | bool) -> Iterator[JsonObject]:
    """Yield the devices that fit the query, read page by page."""
    yield from _by_offset(lambda offset: gateway.devices(limit=_DEVICE_PAGE, offset=offset, **query))


def song_titles(gateway: Gateway, track_ids: Sequence[str]) -> dict[str, str]:
    """Return the title of each track; see `song_title`."""
    return {track_id: song_title(gateway, track_id) for track_id in dict.fromkeys(track_ids)}


def song_title(gateway: Gateway, track_id: str) -> str:
    """Return the title of a track, or its id where it is gone or the catalogue does not answer."""
    try:
        return gateway.track(track_id)["track"]["title"]
    except CommandError:
        return track_id


def _all_tracks(gateway: Gateway) -> Iterator[JsonObject]:
    page = gateway.tracks(limit=_PAGE)
    yield from page["items"]
    while cursor := page.get("next_cursor"):
        page = gateway.tracks(limit=_PAGE, cursor=cursor)
        yield from page["items"]


def _all_deployments(gateway: Gateway, **query: str) -> Iterator[JsonObject]:
    yield from _by_offset(lambda offset: gateway.deployments(limit=_PAGE, offset=offset, **query))


def _by_offset(read: Callable[[int], JsonObject]) -> Iterator[JsonObject]:
    offset = 0
    while items := (page := read(offset))["items"]:
        yield from items
        offset += len(items)
        if offset >= page["total"]:
            return


def _only(found: Sequence[JsonObject], meant: str, line: Callable[[JsonObject], str]) -> JsonObject:
    if len(found) > 1:
        raise CommandError(
            f"{_quoted(meant)} may be any of these; give more of the id:{_listed(list(map(line, found)))}"
        )
    return found[0]


def _none(kind: str, meant: str, alike: Sequence[str], hint: str) -> NotFoundError:
    near = f"; near it are:{_listed(alike)}" if alike else f"; {hint}"
    return NotFoundError(f"there is no {kind} {_quoted(meant)}{near}")


def _quoted(meant: str) -> str:
    return f'"{one_line(meant)}"'


def _listed(lines: Sequence[str]) -> str:
    more = [f"and {len(lines) - _MOST_CANDIDATES} more"] if len(lines) > _MOST_CANDIDATES else []
    return "".join(f"\n  {line}" for line in [*lines[:_MOST_CANDIDATES], *more])


def _track_line(track: JsonObject) -> str:
    return f"{track['id']}  {one_line(track['title'])}"


def _deployment_line(item: JsonObject) -> str:
    return f"{item['id']}  {item['created_at'][:16].replace('T', ' ')}  {display_name(item['status'])}"


def _folded(title: str) -> str:
    return " ".join(unicodedata.normalize("NFC", readable(title)).casefold().split())
