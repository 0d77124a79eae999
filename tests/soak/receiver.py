"""Receives the deliveries of one webhook in the soak's own process, and refuses a random share of them at first."""

import random
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Literal, cast

from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from typing_extensions import override

from tests.support.system import System

SUBSCRIPTION: Final = ("track.uploaded", "analysis.completed", "deploy.*")
SETTINGS: Final = {"K1_WEBHOOKS_ALLOW_PRIVATE": "true"}
"""Without it, the service sends nothing to a local address."""
REFUSED_SHARE: Final = 0.3
"""Only the first request of a delivery is refused: the second attempt comes after 5 s, the third after 5 min."""
DELIVERED_WITHIN_S: Final = 7 * 60
"""Enough for a third attempt, which is due where the second failed without the receiver. A delivery that a killed
process had taken comes again after 45 s, and that counts as no attempt."""
Answer = Literal["accept", "refuse", "hang up"]


@dataclass
class Received:
    """All requests with one `webhook-id`."""

    type: str
    data: dict[str, Any]
    requests: int = 0
    accepted: int = 0
    """How many were answered with 204."""


@dataclass
class WebhookReceiver:
    """Keeps what arrived by `webhook-id`; decides what each request is answered."""

    seed: int
    webhook_id: str = ""
    received: dict[str, Received] = field(default_factory=dict[str, Received])
    refused: int = 0
    wrong: list[str] = field(default_factory=list[str])
    """Requests without a valid signature, or with another body than before under the same id."""

    def __post_init__(self) -> None:
        self.server = _Server(self)
        self._chance = random.Random(f"{self.seed} receiver")
        self._lock = threading.Lock()
        self._verifier: Webhook | None = None

    def register(self, system: System) -> None:
        """Add the webhook; it gets the events from now on."""
        url = f"http://127.0.0.1:{self.server.server_port}/hook"
        body = {"url": url, "event_types": list(SUBSCRIPTION), "description": "soak"}
        response = system.request("POST", "/webhooks", json=body)
        assert response.status_code == 201, response.text
        self.webhook_id = response.json()["webhook"]["id"]
        self._verifier = Webhook(response.json()["secret"])

    def pending(self, system: System) -> int:
        """Return how many deliveries the service still has to make."""
        return system.get(f"/webhooks/{self.webhook_id}/deliveries?status=pending&limit=1")["total"]

    def counts(self) -> dict[str, int]:
        """Return what was received."""
        accepted = [each.accepted for each in self.received.values()]
        return {
            "webhook deliveries": sum(map(bool, accepted)),
            "refused requests": self.refused,
            "repeated deliveries": sum(n - 1 for n in accepted if n),
        }

    def answer(self, headers: dict[str, str], body: bytes) -> Answer:
        """Record a request and return what to answer."""
        with self._lock:
            try:
                assert self._verifier is not None, "nothing is registered yet"
                event = self._verifier.verify(body, headers)
            except (WebhookVerificationError, AssertionError) as error:
                self.wrong.append(f"{headers.get('webhook-id')}: {error}")
                return "refuse"
            new = Received(event["type"], event["data"])
            known = self.received.setdefault(headers["webhook-id"], new)
            if (known.type, known.data) != (new.type, new.data):
                self.wrong.append(f"{headers['webhook-id']} has another body than before")
            known.requests += 1
            if known.requests == 1 and self._chance.random() < REFUSED_SHARE:
                self.refused += 1
                return self._chance.choice(("refuse", "hang up"))
            known.accepted += 1
            return "accept"


class _Server(ThreadingHTTPServer):
    def __init__(self, receiver: WebhookReceiver) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.receiver = receiver


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = cast("_Server", self.server).receiver.answer(headers, body)
        if answer == "hang up":
            return  # the connection is closed without an answer
        self.send_response(204 if answer == "accept" else 500)
        self.end_headers()

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""
