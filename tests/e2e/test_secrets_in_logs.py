"""No log and no argument of any process of the system holds a secret, whatever people do."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from k1_platform.auth.nkeys import NatsKeys
from tests.support.service_process import RunningService, running_service
from tests.support.system import System
from tests.support.waiting import PATIENCE_S

pytestmark = pytest.mark.e2e

PASSWORD = "violet otter plays cello twice"
WRONG_PASSWORD = "a guess that somebody typed"
MISPLACED_PASSWORD = "typed into the wrong field"


@pytest.fixture
def gateway(system: System, tmp_path: Path) -> Iterator[RunningService]:
    """Run a second gateway of the system, where callers must sign in."""
    keys = NatsKeys(system.stack.home.nats_keys)
    own = {"K1_AUTH": "on", "K1_NATS_CREDS": str(keys.service_credentials("gateway"))}
    with running_service("gateway", system.stack.environment | own, tmp_path) as running:
        yield running


def test_what_people_type_and_get_is_not_logged(system: System, gateway: RunningService) -> None:
    """Passwords right, wrong and misplaced, tokens, links, API keys, secrets of webhooks, seeds and store keys."""
    secrets = {"password": PASSWORD, "wrong password": WRONG_PASSWORD, "misplaced": MISPLACED_PASSWORD}
    secrets["key of the command line"] = system.stack.home.api_key_file.read_text().strip()
    with httpx.Client(base_url=f"{gateway.url}/api/v1", timeout=PATIENCE_S) as http:
        secrets |= sign_in(system, http)
        secrets |= make_key_and_webhook(http, secrets["key of the command line"])
        for name, secret in secrets.items():  # what is refused may not be logged either
            refused = http.get("/me", headers={"Authorization": f"Bearer {secret}x"})
            assert refused.status_code in {400, 401}, name
    secrets |= stored_secrets(system.stack.home.root)
    logs = [*(system.home / "logs").iterdir(), gateway.log]
    assert len(logs) > 15
    texts = {log.name: log.read_text(errors="replace") for log in logs}
    found = [(log, name) for log, text in texts.items() for name, secret in secrets.items() if secret in text]
    assert found == []


def sign_in(system: System, http: httpx.Client) -> dict[str, str]:
    """Set a password by a link, sign in with wrong and right passwords, refresh; return the secrets."""
    forgotten = {"email": "admin@localhost"}
    link = system.link_sent_by(lambda: http.post("/auth/forgot", json=forgotten).raise_for_status(), "/reset")
    token = link.partition("?token=")[2]
    reset = http.post("/auth/reset", json={"token": token, "new_password": PASSWORD})
    assert reset.is_success, reset.text
    login = {"email": "admin@localhost", "password": WRONG_PASSWORD}
    assert http.post("/auth/login", json=login).status_code == 401
    odd = http.post("/auth/login", json=login | {"email": MISPLACED_PASSWORD, "passwort": MISPLACED_PASSWORD})
    assert odd.status_code == 422
    session = http.post("/auth/login", json=login | {"password": PASSWORD}).json()
    refreshed = http.post("/auth/refresh", json={"refresh_token": session["refresh_token"]}).json()
    tokens = {"first": session, "second": refreshed}
    found = {f"{n} {k}": v[k] for n, v in tokens.items() for k in ("access_token", "refresh_token")}
    return found | {"link": token}


def make_key_and_webhook(http: httpx.Client, key: str) -> dict[str, str]:
    """Make an API key and a webhook with an API key; return both secrets."""
    signed = {"Authorization": f"Bearer {key}"}
    made = http.post("/me/keys", json={"name": "test", "role": "viewer"}, headers=signed)
    assert made.status_code == 201, made.text
    url = {"url": "https://hooks.example.org/k1", "event_types": ["webhook.none"]}
    webhook = http.post("/webhooks", json=url, headers=signed)
    assert webhook.status_code == 201, webhook.text
    assert http.delete(f"/webhooks/{webhook.json()['webhook']['id']}", headers=signed).is_success
    return {"API key": made.json()["secret"], "webhook": webhook.json()["secret"]}


def test_no_process_shows_a_secret_in_its_arguments(system: System) -> None:
    """Every user of the machine can read the arguments of every process."""
    secrets = stored_secrets(system.stack.home.root)
    assert {name.partition("/")[0] for name in secrets} >= {
        "account-keys",
        "keys",
        "nats-keys",
        "webhook-keys",
    }
    lines = {
        process.pid: "\0".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])
    }
    parts = [*system.stack.servers, *system.stack.services]
    assert {part.pid for part in parts} <= lines.keys()
    shown = [(lines[pid], name) for pid in lines for name, secret in secrets.items() if secret in lines[pid]]
    assert shown == []


def stored_secrets(home: Path) -> dict[str, str]:
    """Return the passwords of the servers, and the secret part of every key in the home."""
    secrets: dict[str, str] = {}
    for file in home.rglob("*"):
        name = file.relative_to(home).as_posix()
        if name.startswith(("data/", "logs/", "run/")) or not file.is_file():
            continue
        if file.suffix == ".nk" or name in {"api-key", "webhook-keys/secret.key"}:
            secrets[name] = file.read_text().strip()
        elif file.suffix == ".creds":
            secrets[name] = next(line for line in file.read_text().splitlines() if line.startswith("SU"))
        elif name.endswith(".mqtt.json"):
            secrets[name] = json.loads(file.read_text())["password"]
        elif file.suffix in {".pem", ".key"} and "PRIVATE KEY" in (text := file.read_text()):
            secrets[name] = text.splitlines()[1]
    passwords = json.loads((home / "credentials.json").read_text())
    return secrets | {name: str(value) for name, value in passwords.items() if "access_key" not in name}
