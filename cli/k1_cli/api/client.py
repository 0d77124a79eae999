"""A client of the gateway's HTTP API, with the calls that the commands need."""

import time
from collections.abc import Callable, Generator
from email.message import Message
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast
from urllib.parse import quote

import httpx

from k1_cli.api.counted_file import CountedFile, OnBytes
from k1_cli.api.event_lines import event_lines
from k1_cli.api.problems import describe_problem
from k1_cli.api.song_files import SongUpload
from k1_cli.errors import CommandError
from k1_cli.json_types import JsonObject
from k1_cli.output.formatting import form_file_name, readable
from k1_cli.output.hints import k1_command
from k1_contracts.upload_form import FILE_FIELD
from k1_platform.auth.tls import client_context


class NotFoundError(CommandError):
    """The gateway does not know that id."""


class UnreachableError(CommandError):
    """The gateway does not answer, or it or a service behind it fails; trying again may help."""


class SignInError(CommandError):
    """The gateway does not accept the credential, or there is none."""


class BusyError(CommandError):
    """The gateway accepts no more requests at the moment; try again after `retry_after_s` seconds."""

    def __init__(self, sentence: str, retry_after_s: float) -> None:
        super().__init__(sentence)
        self.retry_after_s = retry_after_s


_TIMEOUT = httpx.Timeout(30.0, write=120.0)
_SIMULATE_TIMEOUT = 90.0
_STORAGE_TIMEOUT = 310.0
_POLL_SECONDS = 0.15
_RETRY_AFTER_S = 5.0
_TEXT_ARGUMENTS = frozenset({"json", "data", "params"})
"""The parts of a request that hold text from a person."""
_FINAL_JOB = frozenset({"completed", "failed", "cancelled"})
_FINAL_TRACK = frozenset({"ready", "warning", "failed"})
_CATALOGUE_PATIENCE = 30.0
_JOB_PATIENCE = 15.0

OnJob = Callable[[JsonObject], None]


class GatewayClient:
    """A client of `/api/v1`; every failure raises a CommandError with the server's sentence."""

    def __init__(self, url: str, ca: Path | None = None, credential: str | None = None) -> None:
        """`ca`: the CA of an https address; None where the system trusts its certificate.

        `credential`: a token or an API key; it goes to the gateway alone, never to the object store.
        """
        self._http = httpx.Client(base_url=f"{url}/api/v1", timeout=_TIMEOUT, verify=client_context(ca))
        self._headers = {} if credential is None else {"Authorization": f"Bearer {credential}"}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def upload(self, song: SongUpload, on_bytes: OnBytes) -> JsonObject:
        """Upload the file as a stream; return `{track_id, job_id, status}`, also for a song that is stored already."""
        with song.file.open("rb") as file:
            content = cast("BinaryIO", CountedFile(file, on_bytes))
            named = form_file_name(song.file), content
            return self.request("POST", "/tracks/upload", data=song.fields(), files={FILE_FIELD: named})

    def track(self, track_id: str) -> JsonObject:
        """Return a track as `{track, versions, ...}`."""
        return self.request("GET", f"/tracks/{track_id}")

    def tracks(self, **query: str | int) -> JsonObject:
        """Return a page of tracks as `{total, items}`."""
        return self.request("GET", "/tracks", params=query)

    def delete_track(self, track_id: str) -> JsonObject:
        """Delete a track; return `{track_id, undo_token, expires_at, purge_at}`."""
        return self.request("DELETE", f"/tracks/{track_id}")

    def restore_track(self, track_id: str, undo_token: str | None) -> JsonObject:
        """Restore a deleted track; return `{track_id, status, restored}`."""
        body = {} if undo_token is None else {"undo_token": undo_token}
        return self.request("POST", f"/tracks/{track_id}/restore", json=body)

    def history(self, track_id: str, **query: str | int) -> JsonObject:
        """Return a page of the events of a track as `{total, items}`, newest first."""
        return self.request("GET", f"/tracks/{track_id}/history", params=query)

    def genesis(self, track_id: str, version: int) -> JsonObject:
        """Return the whole Genesis map of one version."""
        return self.request("GET", f"/tracks/{track_id}/versions/{version}/genesis")

    def export(self, track_id: str, version: int, format_name: str) -> tuple[str, bytes]:
        """Return the name and the bytes of a file for another program."""
        path = f"/tracks/{track_id}/versions/{version}/export/{format_name}"
        response = self.send("GET", path)
        header = Message()
        header["Content-Disposition"] = response.headers["Content-Disposition"]
        return Path(header.get_filename(f"{track_id}.{format_name}")).name, response.content

    def similar(self, track_id: str, limit: int) -> JsonObject:
        """Return the nearest tracks as `{items, method, searched}`."""
        return self.request("GET", f"/tracks/{track_id}/similar", params={"limit": limit})

    def artefacts(self, track_id: str, version: int) -> list[JsonObject]:
        """Return all artefacts of a version; those that are present have signed URLs."""
        return self.request("GET", f"/tracks/{track_id}/versions/{version}/artefacts")["artefacts"]

    def graph(self, track_id: str, version: int) -> JsonObject:
        """Return the graph document of a version."""
        return self.request("GET", f"/tracks/{track_id}/versions/{version}/graph")

    def simulate(self, track_id: str, version: int, graph: object | None) -> JsonObject:
        """Run the version's graph, or the given one, over its map; return the report."""
        body = {} if graph is None else {"graph": graph}
        path = f"/tracks/{track_id}/versions/{version}/simulate"
        return self.request("POST", path, json=body, timeout=_SIMULATE_TIMEOUT)

    def beats(self, track_id: str, version: int) -> JsonObject:
        """Return the beats of a version, their override, and the tag for an edit."""
        return self.request("GET", _beats_path(track_id, version))

    def save_beats(self, track_id: str, version: int, body: JsonObject, etag: str) -> JsonObject:
        """Set the beats, if nobody has done so since `etag`; return the new version."""
        path, headers = _beats_path(track_id, version), {"If-Match": f'"{etag}"'}
        return self.request("POST", path, json=body, headers=headers, timeout=_SIMULATE_TIMEOUT)

    def remove_beats(self, track_id: str, version: int, etag: str) -> JsonObject:
        """Go back to the automatic beats, if nobody has set others since `etag`; return the new version."""
        path, headers = _beats_path(track_id, version), {"If-Match": f'"{etag}"'}
        return self.request("DELETE", path, headers=headers, timeout=_SIMULATE_TIMEOUT)

    def preview_beats(self, track_id: str, version: int, operation: JsonObject) -> JsonObject:
        """Return the beats that an operation would give."""
        return self.request("POST", f"{_beats_path(track_id, version)}/preview", json=operation)

    def fetch(self, url: str) -> bytes:
        """Return the object behind a signed URL.

        Raises:
            CommandError: the object store does not return it.
        """
        try:
            return self._http.get(url).raise_for_status().content
        except httpx.HTTPError as error:
            raise CommandError(f"the object store does not give {url.partition('?')[0]}: {error}") from error

    def storage_usage(self) -> JsonObject:
        """Return how much is stored."""
        return self.request("GET", "/storage/usage", timeout=_STORAGE_TIMEOUT)

    def clean_up(self, *, dry_run: bool) -> JsonObject:
        """Remove what nothing refers to, or only return what that is."""
        return self.request("POST", "/storage/cleanup", json={"dry_run": dry_run}, timeout=_STORAGE_TIMEOUT)

    def copy_link(self, track_id: str, version: int, artefact_id: str, expires_in: int) -> JsonObject:
        """Make a link to an artefact; return `{link, token, path}`."""
        path = f"/tracks/{track_id}/versions/{version}/artefacts/{artefact_id}/copy-link"
        return self.request("POST", path, json={"expires_in": expires_in})

    def links(self) -> JsonObject:
        """Return the newest links that work, as `{total, items}`."""
        return self.request("GET", "/links", params={"limit": 200})

    def revoke_link(self, link: str) -> JsonObject:
        """Revoke a link by its id or token."""
        return self.request("DELETE", f"/links/{link}")

    def address(self, path: str) -> str:
        """Return the whole address of a path of this gateway."""
        return str(self._http.base_url.copy_with(path=path))

    def devices(self, **query: str | int | bool) -> JsonObject:
        """Return a page of devices as `{total, items}`."""
        return self.request("GET", "/devices", params=query)

    def device(self, device_id: str) -> JsonObject:
        """Return one device."""
        return self.request("GET", f"/devices/{device_id}")

    def deploy(self, request: JsonObject) -> JsonObject:
        """Start a deployment; return `{deployment_id, status}`, or the plan of a dry run."""
        return self.request("POST", "/deployments", json=request)

    def deployments(self, **query: str | int) -> JsonObject:
        """Return a page of deployments as `{total, items}`, newest first."""
        return self.request("GET", "/deployments", params=query)

    def deployment(self, deployment_id: str) -> JsonObject:
        """Return one deployment with the steps of its devices."""
        return self.request("GET", f"/deployments/{deployment_id}")

    def control(self, deployment_id: str, action: str, body: JsonObject) -> JsonObject:
        """Cancel, roll back, pause or resume a deployment; return its new state."""
        return self.request("POST", f"/deployments/{deployment_id}/{action}", json=body)

    def deployment_events(self, deployment_id: str) -> Generator[tuple[str, str]]:
        """Yield the name and JSON of each event until the deployment ends or the gateway stops; raises as `events`."""
        return self.events(f"/deployments/{deployment_id}/events")

    def events(self, path: str, **query: str) -> Generator[tuple[str, str]]:
        """Yield the name and JSON of each event of a stream; one of the default type has no name.

        Raises:
            ConnectionError: the stream was interrupted.
        """
        try:
            with self._http.stream("GET", path, params=query, headers=self._headers) as response:
                if response.is_error:
                    response.read()
                    raise CommandError(_problem(response))
                name = ""
                for line in event_lines(response.iter_bytes()):
                    field, _, value = line.partition(": ")
                    if field == "event":
                        name = value
                    elif field == "data":
                        yield name, value
                    elif not line:
                        name = ""
        except httpx.HTTPError as error:
            raise ConnectionError(str(error)) from error

    def job(self, job_id: str) -> JsonObject:
        """Return the status, stage and percent of a job."""
        return self.request("GET", f"/analysis/jobs/{job_id}")

    def wait_for_job(self, job_id: str, on_job: OnJob) -> JsonObject:
        """Wait until a job has ended and return it; call `on_job` with each state on the way.

        The gateway answers an upload as soon as it is safe, which may be before the catalogue knows the job.
        """
        unknown_until = time.monotonic() + _JOB_PATIENCE
        while True:
            try:
                job = self.job(job_id)
            except NotFoundError:
                if time.monotonic() > unknown_until:
                    raise
            else:
                unknown_until = 0.0
                on_job(job)
                if job["status"] in _FINAL_JOB:
                    return job
            time.sleep(_POLL_SECONDS)

    def wait_for_track(self, track_id: str) -> JsonObject:
        """Return the track once the catalogue knows the result of its analysis, a moment after the job's end.

        Raises:
            CommandError: the catalogue does not know it in time.
        """
        deadline = time.monotonic() + _CATALOGUE_PATIENCE
        while True:
            found = self.track(track_id)
            if found["track"]["status"] in _FINAL_TRACK:
                return found
            if time.monotonic() > deadline:
                raise CommandError(
                    f"{track_id} is still {found['track']['status']} {_CATALOGUE_PATIENCE:.0f} s after its job ended; "
                    f"see {k1_command('status')} and {k1_command('dlq list')}"
                )
            time.sleep(_POLL_SECONDS)

    def request(self, method: str, path: str, **arguments: Any) -> JsonObject:
        """Send a request and return the JSON object of the response; an empty one where there is no body.

        Raises:
            CommandError: the gateway refuses it or does not answer.
        """
        response = self.send(method, path, **arguments)
        return cast("JsonObject", response.json()) if response.content else {}

    def send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Send a request and return the response, which is no error."""
        headers = self._headers | arguments.pop("headers", {})
        sent = {
            name: _readable(value) if name in _TEXT_ARGUMENTS else value for name, value in arguments.items()
        }
        try:
            response = self._http.request(method, quote(readable(path)), headers=headers, **sent)
        except httpx.HTTPError as error:
            sentence = f"the gateway at {self._http.base_url} does not answer: {error}"
            raise UnreachableError(f"{sentence}; {_next_steps()}") from error
        if response.status_code == HTTPStatus.NOT_FOUND:
            raise NotFoundError(_problem(response))
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            raise BusyError(_problem(response), _retry_after_s(response))
        if response.is_server_error:
            raise UnreachableError(f"{_problem(response)}; {_next_steps()}")
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            raise SignInError(f"{_problem(response)}; sign in with {k1_command('login')}")
        if response.is_error:
            raise CommandError(_problem(response))
        return response


def _next_steps() -> str:
    return f"{k1_command('status')} tells what does not run, {k1_command('doctor')} what this machine lacks"


def _beats_path(track_id: str, version: int) -> str:
    return f"/tracks/{track_id}/versions/{version}/beat-override"


def _readable(value: Any) -> Any:
    """Return the value with every text made readable: arguments may hold bytes that are not UTF-8."""
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, dict):
        return {name: _readable(item) for name, item in cast("JsonObject", value).items()}
    if isinstance(value, list):
        return [_readable(item) for item in cast("list[Any]", value)]
    return value


def _retry_after_s(response: httpx.Response) -> float:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else _RETRY_AFTER_S


def _problem(response: httpx.Response) -> str:
    try:
        body = cast("JsonObject", response.json())
    except ValueError:
        return f"the gateway answered {response.status_code} to {response.request.url.path}"
    return describe_problem(body, response.status_code)
