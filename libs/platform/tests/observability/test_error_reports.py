"""Error reports, received by a server that speaks the protocol of Sentry."""

import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.processes import inherited_environment
from tests.support.servers.threaded import serving

PASSWORD = "violet otter plays cello"
PROGRAM = """
import logging, os
from k1_platform.observability.error_reports import configure_error_reports
from k1_platform.observability.logging import configure_logging
from k1_platform.settings import ObservabilitySettings

configure_logging("ingest", "INFO")
configure_error_reports("ingest", "1.2.3", ObservabilitySettings())
log = logging.getLogger("k1_ingest.uploads")
log.warning("only a warning")
password = os.environ["PASSWORD"]
try:
    raise ValueError("a bug")
except ValueError:
    log.exception("upload failed", extra={"track_id": "trk_1", "address": "192.0.2.7", "email": "ada@example.org"})
"""


class Receiver(ThreadingHTTPServer):
    """Keeps the envelopes that it receives."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.envelopes: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        is_packed = self.headers.get("Content-Encoding") == "gzip"
        self.server.envelopes.append((gzip.decompress(body) if is_packed else body).decode())
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it
        """Print nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Run a receiver of reports."""
    server = Receiver()
    with serving(server):
        yield server


def _run(**environment: str) -> None:
    inherited = inherited_environment()
    subprocess.run(
        [sys.executable, "-c", PROGRAM], env=inherited | environment, check=True, capture_output=True
    )


def test_an_error_is_reported_without_personal_data(receiver: Receiver) -> None:
    """One report with the stack trace, the release and the track; no address, e-mail, variable or host name."""
    _run(
        PASSWORD=PASSWORD,
        K1_SENTRY_DSN=f"http://key@127.0.0.1:{receiver.server_port}/7",
        K1_ENVIRONMENT="stage",
    )
    [envelope] = receiver.envelopes
    event = json.loads(envelope.splitlines()[2])
    assert (event["release"], event["environment"]) == ("k1-ingest@1.2.3", "stage")
    assert event["tags"] == {"service": "ingest"}
    assert event["logentry"]["message"] == "upload failed"
    [error] = event["exception"]["values"]
    assert (error["type"], error["value"]) == ("ValueError", "a bug")
    assert event["extra"] == {"track_id": "trk_1"}
    for secret in ("192.0.2.7", "ada@example.org", PASSWORD, "server_name", "only a warning"):
        assert secret not in envelope, secret
    assert all("vars" not in frame for frame in error["stacktrace"]["frames"])


def test_nothing_is_sent_without_an_address(receiver: Receiver) -> None:
    """Without K1_SENTRY_DSN the library is not even loaded."""
    check = 'import sys; assert "sentry_sdk" not in sys.modules'
    inherited = inherited_environment()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + check],
        env=inherited | {"PASSWORD": PASSWORD},
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert receiver.envelopes == []
