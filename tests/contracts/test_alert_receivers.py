"""Alertmanager sends to the addresses that are files beside its configuration, and says what it cannot send."""

import json
import socket
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, cast

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.support.documents.generators import run
from tests.support.processes import running_process
from tests.support.servers.debian_packages import unpacked
from tests.support.servers.threaded import serving
from tests.support.waiting import wait_until

MONITORING: Final = Path(__file__).parents[2] / "deploy" / "monitoring"
CONFIGURATIONS: Final = sorted((MONITORING / "alertmanager").glob("*.yml"))
MOUNTED: Final = "/etc/alertmanager/secrets/k1-alert-receivers"
OLDEST: Final = "0.28"
"""In earlier releases of Alertmanager `url_file` is missing or has a bug that ends the process."""
ALERTS: Final = (
    {"alertname": "TargetDown", "severity": "page"},
    {"alertname": "DeadLetters", "severity": "ticket"},
    {"alertname": "Watchdog", "severity": "none"},
)


class Receiver(ThreadingHTTPServer):
    """Keeps what is posted to it, by path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: dict[str, dict[str, Any]] = {}

    @property
    def url(self) -> str:
        """Return the address."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        cast("Receiver", self.server).received[self.path] = json.loads(body)
        self.send_response(202)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it
        """Print nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Run a server that stands for pager, chat and dead man's switch."""
    server = Receiver()
    with serving(server):
        yield server


@contextmanager
def alertmanager(configuration: Path, folder: Path, pagerduty: str) -> Generator[httpx.Client]:
    """Run Alertmanager with the files of `folder` as addresses, and without the time in which alerts are grouped."""
    content = yaml.safe_load(
        configuration.read_text().replace(MOUNTED, str(folder)).replace("group_wait: 30s", "group_wait: 0s")
    )
    content["global"] = {"pagerduty_url": pagerduty}
    changed = folder.parent / "alertmanager.yml"
    changed.write_text(yaml.safe_dump(content))
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        address = f"127.0.0.1:{reserved.getsockname()[1]}"
    options = [f"--config.file={changed}", f"--storage.path={folder.parent / 'data'}"]
    options += [f"--web.listen-address={address}", "--cluster.listen-address="]
    with (
        running_process([*relocated_alertmanager(folder.parent), *options]) as process,
        httpx.Client(base_url=f"http://{address}") as client,
    ):

        def ready() -> bool:
            assert process.poll() is None, "Alertmanager has ended"
            return client.get("/-/ready").is_success

        wait_until(ready, "Alertmanager is ready", retry_on=(httpx.TransportError,))
        yield client


def relocated_alertmanager(folder: Path) -> list[str]:
    """Return a command that runs Alertmanager from its unpacked package.

    Debian's program has the path of its templates compiled in. A copy gets a relative one of the same length.
    """
    original = Path(unpacked("prometheus-alertmanager", "prometheus-alertmanager", at_least=OLDEST))
    content = original.read_bytes()
    program = folder / "alertmanager"
    program.write_bytes(
        content.replace(b"/usr/share/prometheus/alertmanager", b"usr/share/prometheus//alertmanager")
    )
    program.chmod(0o755)
    return ["env", "-C", str(original.parents[2]), str(program)]


def raise_alerts(client: httpx.Client) -> None:
    """Send one alert of each severity, as Prometheus does; of different jobs, because TargetDown suppresses its own."""
    annotations = {"summary": "a test", "runbook": "docs/runbooks/watchdog.md"}
    alerts = [
        {"labels": {"job": labels["severity"], **labels}, "annotations": annotations} for labels in ALERTS
    ]
    client.post("/api/v2/alerts", json=alerts).raise_for_status()


def failed(client: httpx.Client, integration: str) -> float:
    """Return how many messages could not be sent, by the metric of the alert AlertsNotDelivered."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    samples = [sample for family in families for sample in family.samples]
    return sum(
        each.value
        for each in samples
        if each.name == "alertmanager_notifications_failed_total"
        and each.labels["integration"] == integration
    )


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=lambda path: path.stem)
def test_alertmanager_accepts_the_configuration_and_pages_reach_the_pager(configuration: Path) -> None:
    """Each severity has a receiver."""
    amtool = unpacked("prometheus-alertmanager", "amtool", at_least=OLDEST)
    run(amtool, "check-config", str(configuration))
    for labels, receiver_name in zip(ALERTS, ("pager", "tickets", "watchdog"), strict=True):
        options = (f"--config.file={configuration}", f"--verify.receivers={receiver_name}")
        run(amtool, "config", "routes", "test", *options, *(f"{key}={each}" for key, each in labels.items()))


def test_the_configurations_differ_in_their_receivers_only() -> None:
    """Who gets an alert, and what suppresses it, does not depend on how it is sent."""
    read = [yaml.safe_load(path.read_text()) for path in CONFIGURATIONS]
    names = [[each["name"] for each in content.pop("receivers")] for content in read]
    assert len(CONFIGURATIONS) == 2
    assert names[0] == names[1]
    assert read[0] == read[1]


def test_alerts_reach_the_addresses_of_webhooks(tmp_path: Path, receiver: Receiver) -> None:
    """An address may be written while Alertmanager runs, with a line break at its end."""
    folder = tmp_path / "receivers"
    folder.mkdir()
    with alertmanager(MONITORING / "alertmanager" / "alertmanager.yml", folder, receiver.url) as client:
        for name in ("pager", "tickets", "watchdog"):
            (folder / f"{name}-url").write_text(f"{receiver.url}/{name}\n")
        raise_alerts(client)
        received = wait_until(
            lambda: receiver.received if len(receiver.received) == len(ALERTS) else None, "three messages"
        )
    alerts = {path: message["commonLabels"]["alertname"] for path, message in received.items()}
    assert alerts == {"/pager": "TargetDown", "/tickets": "DeadLetters", "/watchdog": "Watchdog"}


def test_alerts_reach_slack_and_pagerduty(tmp_path: Path, receiver: Receiver) -> None:
    """The address of Slack and the key of PagerDuty are files; the message says what is wrong."""
    folder = tmp_path / "receivers"
    folder.mkdir()
    (folder / "slack-url").write_text(f"{receiver.url}/slack")
    (folder / "pagerduty-key").write_text("the-key")
    (folder / "watchdog-url").write_text(f"{receiver.url}/watchdog")
    configuration = MONITORING / "alertmanager" / "alertmanager-slack-pagerduty.yml"
    with alertmanager(configuration, folder, f"{receiver.url}/pagerduty") as client:
        raise_alerts(client)
        received = wait_until(
            lambda: receiver.received if len(receiver.received) == len(ALERTS) else None, "three messages"
        )
    assert received["/pagerduty"]["routing_key"] == "the-key"
    assert "TargetDown" in received["/pagerduty"]["payload"]["summary"]
    (attachment,) = received["/slack"]["attachments"]
    assert "DeadLetters" in attachment["title"]
    assert "a test (docs/runbooks/watchdog.md)" in attachment["text"]
    assert received["/watchdog"]["commonLabels"]["alertname"] == "Watchdog"


def test_without_addresses_it_starts_and_counts_what_it_cannot_send(
    tmp_path: Path, receiver: Receiver, capfd: pytest.CaptureFixture[str]
) -> None:
    """The alert AlertsNotDelivered reads that metric, and the log names the file that is missing."""
    folder = tmp_path / "receivers"
    folder.mkdir()
    with alertmanager(MONITORING / "alertmanager" / "alertmanager.yml", folder, receiver.url) as client:
        assert failed(client, "webhook") == 0
        raise_alerts(client)
        wait_until(lambda: failed(client, "webhook") >= len(ALERTS), "three messages fail")
    log = capfd.readouterr().err
    for name in ("pager-url", "tickets-url", "watchdog-url"):
        assert f"open {folder / name}: no such file" in log
    assert receiver.received == {}
