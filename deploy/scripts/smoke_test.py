#!/usr/bin/env python3
"""Tests an installation from outside, in a minute: is it healthy, is it closed, does a song become ready.

    python3 deploy/scripts/smoke_test.py https://k1.example.org

With an API key of the role operator in K1_API_KEY it uploads a song, waits until it is ready, and deletes it; without
one it leaves that out and says so. It needs nothing but Python. SSL_CERT_FILE names the CA of a private certificate.
"""

import io
import json
import math
import os
import random
import sys
import time
import uuid
import wave
from array import array
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

_TIMEOUT_S: Final = 30
_HEALTHY_WITHIN_S: Final = 120
_READY_WITHIN_S: Final = 300
_PAUSE_S: Final = 1
_RATE: Final = 22_050


class SmokeTestError(Exception):
    """What is wrong with the installation, as a sentence."""


def send(
    method: str,
    url: str,
    *,
    key: str | None = None,
    body: bytes | None = None,
    kind: str = "application/json",
) -> tuple[int, bytes]:
    """Return the status and the body of a response, whatever the status is.

    Raises:
        SmokeTestError: there is no response.
    """
    headers = {"Content-Type": kind} | ({"Authorization": f"Bearer {key}"} if key else {})
    try:
        with urlopen(Request(url, body, headers, method=method), timeout=_TIMEOUT_S) as response:  # noqa: S310
            return response.status, response.read()
    except HTTPError as error:
        return error.code, error.read()
    except (URLError, OSError) as error:
        raise SmokeTestError(f"{url} does not answer: {error}") from error


def wait(condition: Callable[[], str | None], within_s: float) -> None:
    """Wait until the condition returns no complaint.

    Raises:
        SmokeTestError: it still complains.
    """
    deadline = time.monotonic() + within_s
    while complaint := condition():
        if time.monotonic() > deadline:
            raise SmokeTestError(f"{complaint}, after {within_s:g} s")
        time.sleep(_PAUSE_S)


def check_health(url: str) -> dict[str, Any]:
    """Return the health, once every service is ready."""
    report: dict[str, Any] = {}

    def complaint() -> str | None:
        try:
            status, body = send("GET", f"{url}/api/v1/health")
        except SmokeTestError as error:
            return str(error)
        if status != HTTPStatus.OK:
            return f"{url}/api/v1/health answers {status}"
        report.update(json.loads(body))
        missing = [each["name"] for each in report["services"] if each["status"] != "ready"]
        return f"not ready: {', '.join(missing)}" if missing else None

    wait(complaint, _HEALTHY_WITHIN_S)
    return report


def check_closed(url: str) -> None:
    """Check that nothing is shown to whoever has not signed in."""
    status, _ = send("GET", f"{url}/api/v1/tracks")
    if status != HTTPStatus.UNAUTHORIZED:
        raise SmokeTestError(f"{url}/api/v1/tracks answers {status} to a stranger, and not 401")


def check_page(url: str) -> None:
    """Check that the web page is served."""
    status, body = send("GET", f"{url}/")
    if status != HTTPStatus.OK or b"<html" not in body.lower():
        raise SmokeTestError(f"{url}/ answers {status}, and not the page")


def check_song(url: str, key: str) -> None:
    """Upload a song that is new, wait until it is ready, and delete it."""
    boundary = uuid.uuid4().hex
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="smoke-test.wav"\r\n'
        "Content-Type: audio/wav\r\n\r\n"
    )
    body = head.encode() + make_song() + f"\r\n--{boundary}--\r\n".encode()
    kind = f"multipart/form-data; boundary={boundary}"
    status, answer = send("POST", f"{url}/api/v1/tracks/upload", key=key, body=body, kind=kind)
    if status != HTTPStatus.ACCEPTED:
        raise SmokeTestError(f"the upload of a song answers {status}: {answer.decode(errors='replace')}")
    track = f"{url}/api/v1/tracks/{json.loads(answer)['track_id']}"

    def complaint() -> str | None:
        code, found = send("GET", track, key=key)
        state = json.loads(found)["track"]["status"] if code == HTTPStatus.OK else f"unknown ({code})"
        if state == "failed":
            raise SmokeTestError(f"the analysis of the song failed; look at {track}")
        return None if state == "ready" else f"the song is {state}"

    wait(complaint, _READY_WITHIN_S)
    status, answer = send("DELETE", track, key=key)
    if status not in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}:
        raise SmokeTestError(f"deleting the song answers {status}: {answer.decode(errors='replace')}")


def make_song(seconds: int = 6) -> bytes:
    """Return a WAV with a click twice a second and noise that no other song has."""
    noise = random.Random()  # noqa: S311  it is sound

    def sample(index: int) -> int:
        since_click = index % (_RATE // 2) / _RATE
        click = math.sin(2 * math.pi * 880 * since_click) * math.exp(-since_click * 40)
        return int(20_000 * click + noise.gauss(0, 100))

    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, _RATE, 0, "NONE", ""))
        file.writeframes(array("h", map(sample, range(seconds * _RATE))).tobytes())
    return buffer.getvalue()


def main(arguments: list[str]) -> None:
    """Run all tests; exit with 1 and a sentence at the first that fails."""
    if len(arguments) != 1 or not arguments[0].startswith(("http://", "https://")):
        print("usage: smoke_test.py URL, the address of the web page", file=sys.stderr)
        sys.exit(2)
    url, key = arguments[0].rstrip("/"), os.environ.get("K1_API_KEY")
    try:
        health = check_health(url)
        print(f"smoke-test: {len(health['services'])} services are ready")
        check_page(url)
        if health["sign_in"] == "on":
            check_closed(url)
        if key:
            check_song(url, key)
            print("smoke-test: a song became ready")
        else:
            print("smoke-test: no song was uploaded, because K1_API_KEY is not set")
    except SmokeTestError as error:
        print(f"smoke-test: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
