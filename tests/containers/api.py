"""What a person does over the public API: sign in, upload, look, deploy."""

import json
from dataclasses import dataclass
from typing import Any, Final, Self
from uuid import uuid4

import httpx

from tests.containers.stack import Stack
from tests.support.waiting import wait_until

URL: Final = "http://127.0.0.1:8080"
PATIENCE_S: Final = 300.0
_EMAIL: Final = "containers@example.org"
_ENDED: Final = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True)
class Api:
    """A client with the API key of an administrator."""

    http: httpx.Client

    @classmethod
    def signed_in(cls, stack: Stack) -> Self:
        """Make the first administrator, sign in by the link, and make a key, as the file docker-compose.yml says."""
        made = stack.compose(
            *("run", "--rm", "-T", "--no-deps", "--entrypoint"),
            *(f"python -m k1_accounts.bootstrap --email {_EMAIL}", "accounts"),
        )
        token = json.loads(made.splitlines()[-1])["link_token"]
        with httpx.Client(base_url=f"{URL}/api/v1", timeout=60) as http:
            session = _body(http.post("/auth/link", json={"token": token}))
            headers = {"Authorization": f"Bearer {session['access_token']}"}
            key = _body(http.post("/me/keys", json={"name": "containers", "role": "admin"}, headers=headers))
        return cls(
            httpx.Client(
                base_url=f"{URL}/api/v1", timeout=60, headers={"Authorization": f"Bearer {key['secret']}"}
            )
        )

    def get(self, path: str) -> Any:
        """Return the body of an answer; assert that it is a success."""
        return _body(self.http.get(path))

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Return the body of an answer; assert that it is a success."""
        return _body(self.http.post(path, json=body, headers={"Idempotency-Key": str(uuid4())}))

    def send_song(self, data: bytes, name: str, key: str) -> httpx.Response:
        """Send an upload; with the same key it may be repeated."""
        return self.http.post(
            "/tracks/upload", files={"file": (name, data)}, headers={"Idempotency-Key": key}
        )

    def upload(self, data: bytes, name: str) -> dict[str, Any]:
        """Return the receipt of an upload."""
        return _body(self.send_song(data, name, str(uuid4())))

    def is_ready(self) -> bool:
        """Return whether the gateway says that it and every service are ready."""
        try:
            return self.http.get("/health").json()["status"] == "ok"
        except (httpx.HTTPError, ValueError, KeyError):
            return False

    def wait_until_ready(self) -> None:
        """Wait until every service is ready."""
        wait_until(self.is_ready, "every service is ready", within_s=PATIENCE_S, interval_s=0.5)

    def assert_ready(self, receipt: dict[str, Any]) -> None:
        """Assert that an accepted upload becomes a track with one finished version."""
        job = wait_until(
            lambda: self._ended(receipt["job_id"]),
            f"the job {receipt['job_id']} ends",
            within_s=PATIENCE_S,
            interval_s=0.5,
            retry_on=(httpx.HTTPError, AssertionError),
        )
        assert job["status"] == "completed", job
        detail = self.get(f"/tracks/{receipt['track_id']}")
        assert detail["track"]["status"] in {"ready", "warning"}, detail["track"]
        assert [version["version"] for version in detail["versions"]] == [1], detail["versions"]

    def _ended(self, job_id: str) -> dict[str, Any] | None:
        job = self.get(f"/analysis/jobs/{job_id}")
        return job if job["status"] in _ENDED else None


def _body(response: httpx.Response) -> Any:
    """Return the parsed body of a success."""
    request = response.request
    assert response.is_success, f"{request.method} {request.url.path}: {response.status_code} {response.text}"
    return response.json()
