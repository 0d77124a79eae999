"""Uploads a large song in pieces (tus 1.0), and goes on where an interrupted command stopped."""

import base64
import json
import threading
import time
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from k1_cli.api.client import BusyError, GatewayClient, SignInError, UnreachableError
from k1_cli.api.counted_file import OnBytes
from k1_cli.api.song_files import SongUpload
from k1_cli.errors import CommandError
from k1_cli.json_types import JsonObject
from k1_cli.output.formatting import form_file_name, readable

RESUMABLE_FROM: Final = 8 * 1024 * 1024
"""Smaller files go in one request: sending them again costs little."""
_PIECE_BYTES: Final = 4 * 1024 * 1024
_TUS: Final = {"Tus-Resumable": "1.0.0"}
_PAUSES_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Before each new try after a piece failed."""
_BASE: Final = "/api/v1"
_KEEPING: Final = (UnreachableError, BusyError, SignInError)
"""Errors after which the upload can still go on."""


@dataclass(slots=True)
class UploadMemory:
    """The paths of uploads that are under way, by file, in `<home>/uploads.json`."""

    file: Path
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: str) -> str | None:
        """Return the path of the upload of a file."""
        with self._lock:
            return self._read().get(key)

    def set(self, key: str, path: str | None) -> None:
        """Remember the path of the upload, or forget it. A home that cannot be written only costs the memory."""
        with self._lock:
            known = self._read() | ({key: path} if path else {})
            if path is None:
                known.pop(key, None)
            draft = self.file.with_suffix(".new")
            try:
                draft.write_text(json.dumps(known), "utf-8")
                draft.replace(self.file)
            except OSError:
                return

    def _read(self) -> dict[str, str]:
        try:
            found = json.loads(self.file.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def upload_resumable(
    gateway: GatewayClient, song: SongUpload, memory: UploadMemory, on_bytes: OnBytes
) -> JsonObject:
    """Upload a file in pieces; return `{track_id, job_id, status}`.

    Raises:
        CommandError: the gateway refused the song, or did not answer several times in a row.
    """
    key = _identity(song)
    path, offset = _begin(gateway, song, memory, key)
    on_bytes(offset)
    failures = 0
    while True:
        try:
            headers = _send_piece(gateway, song.file, path, offset)
        except UnreachableError:
            if failures == len(_PAUSES_S):
                raise
            time.sleep(_PAUSES_S[failures])
            failures += 1
            offset = _offset(gateway, path, offset)
            continue
        except _KEEPING:
            raise
        except CommandError:
            memory.set(key, None)
            raise
        failures = 0
        on_bytes(int(headers["Upload-Offset"]) - offset)
        offset = int(headers["Upload-Offset"])
        if "K1-Track-Id" in headers:
            memory.set(key, None)
            return {
                "track_id": headers["K1-Track-Id"],
                "job_id": headers["K1-Job-Id"],
                "status": headers["K1-Upload-Status"],
            }


def _begin(gateway: GatewayClient, song: SongUpload, memory: UploadMemory, key: str) -> tuple[str, int]:
    """Return the path and the offset of the upload of this file, which is a new one where there is none."""
    known = memory.get(key)
    if known is not None:
        try:
            return known, int(gateway.send("HEAD", known, headers=_TUS).headers["Upload-Offset"])
        except _KEEPING:
            raise
        except CommandError:
            memory.set(key, None)  # it has expired
    values = {"filename": form_file_name(song.file), **song.fields()}
    metadata = ",".join(
        f"{name} {base64.b64encode(readable(value).encode()).decode()}" for name, value in values.items()
    )
    size = str(song.file.stat().st_size)
    headers = {**_TUS, "Upload-Length": size, "Upload-Metadata": metadata}
    path = gateway.send("POST", "/uploads", headers=headers).headers["Location"].removeprefix(_BASE)
    memory.set(key, path)
    return path, 0


def _send_piece(gateway: GatewayClient, file: Path, path: str, offset: int) -> dict[str, str]:
    with file.open("rb") as opened:
        opened.seek(offset)
        piece = opened.read(_PIECE_BYTES)
    headers = {
        **_TUS,
        "Content-Type": "application/offset+octet-stream",
        "Upload-Offset": str(offset),
        "Upload-Checksum": f"sha256 {base64.b64encode(sha256(piece).digest()).decode()}",
    }
    response = gateway.send("PATCH", path, content=piece, headers=headers)
    return {name: response.headers[name] for name in _RESULT if name in response.headers}


_RESULT: Final = ("Upload-Offset", "K1-Track-Id", "K1-Job-Id", "K1-Upload-Status")


def _offset(gateway: GatewayClient, path: str, last: int) -> int:
    """Return the offset after a failure; the last one that is known while the gateway does not answer."""
    try:
        return int(gateway.send("HEAD", path, headers=_TUS).headers["Upload-Offset"])
    except UnreachableError:
        return last


def _identity(song: SongUpload) -> str:
    """Return what makes it the same upload: the file, unchanged, with the same details."""
    status = song.file.stat()
    about = [str(song.file.resolve()), status.st_size, status.st_mtime_ns, sorted(song.fields().items())]
    return sha256(json.dumps(about).encode("utf-8", "surrogatepass")).hexdigest()
