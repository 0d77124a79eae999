"""`k1 login`, `logout`, `whoami`, `users` and `keys` against a stub of the gateway."""

import io
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from cli.tests.command_runner import run_k1
from cli.tests.stub_gateway import StubGateway
from k1_cli.api.client import GatewayClient
from k1_cli.api.credentials import find_credential

USER = {
    "id": "usr_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD",
    "email": "ann@example.org",
    "name": "Ann",
    "role": "editor",
    "disabled": False,
    "email_verified": True,
}
KEY = {"id": "key_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD", "name": "k1 on here", "role": "editor", "hint": "k1_new"}
SESSION = {"session_id": "ses_1", "user": USER, "access_token": "a.b.c", "refresh_token": "r"}


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("K1_API_KEY", "K1_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def page(*items: Any, cursor: str | None = None) -> tuple[int, Any]:
    return 200, {"total": len(items), "items": items, **({"next_cursor": cursor} if cursor else {})}


def sent(gateway: StubGateway) -> list[tuple[str, Any, str | None]]:
    """Return path, body and credential of each request."""
    return [
        (each.path, json.loads(each.body) if each.body else None, each.authorization)
        for each in gateway.requests
    ]


def test_a_login_keeps_a_key_and_ends_its_session(
    gateway: StubGateway, home: str, capfd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password is not kept and not an argument; only the owner can read the key, and the commands use it."""
    gateway.on("POST /auth/login", (200, SESSION))
    gateway.on("POST /me/keys", (201, {"key": KEY, "secret": "k1_new"}))
    gateway.on("POST /auth/logout", (200, {}))
    gateway.on("GET /me", (200, USER))
    monkeypatch.setattr("sys.stdin", io.StringIO("secret\n"))
    done = run_k1(capfd, "login", "ann@example.org", "--password-stdin", "--home", home)
    assert (done.returncode, done.stderr) == (0, "")
    assert "ann@example.org" in done.stdout
    login, key, logout = sent(gateway)
    assert login == ("/auth/login", {"email": "ann@example.org", "password": "secret"}, None)
    assert (key[0], key[1]["role"], key[2]) == ("/me/keys", "editor", "Bearer a.b.c")
    assert logout[:2] == ("/auth/logout", {"refresh_token": "r"})
    file = Path(home) / "login.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "secret" not in {**json.loads(file.read_text())}.values()
    assert run_k1(capfd, "whoami", "--home", home).stdout == "Ann <ann@example.org>, editor\n"
    assert gateway.requests[-1].authorization == "Bearer k1_new"

    gateway.on(f"DELETE /me/keys/{KEY['id']}", (200, {"key_id": KEY["id"]}))
    assert run_k1(capfd, "logout", "--home", home).returncode == 0
    assert gateway.requests[-1].authorization == "Bearer k1_new"
    assert not file.exists()
    again = run_k1(capfd, "logout", "--home", home)
    assert (again.returncode, "nobody is signed in" in again.stderr) == (1, True)


def test_a_link_signs_in_too(gateway: StubGateway, home: str, capfd: Any) -> None:
    """The whole link or its token alone."""
    gateway.on("POST /auth/link", (200, SESSION))
    gateway.on("POST /me/keys", (201, {"key": KEY, "secret": "k1_new"}))
    gateway.on("POST /auth/logout", (200, {}))
    for link in ("http://127.0.0.1:1/sign-in?token=once", "once"):
        assert run_k1(capfd, "login", "--link", link, "--home", home).returncode == 0
    links = [body for path, body, _ in sent(gateway) if path == "/auth/link"]
    assert links == [{"token": "once"}] * 2


def test_a_revoked_key_is_forgotten(gateway: StubGateway, home: str, capfd: Any) -> None:
    """Signing out succeeds although the gateway refuses the key."""
    (Path(home) / "login.json").write_text(json.dumps({"key": "k1_x", "key_id": "key_1", "email": "a@b.c"}))
    gateway.on("DELETE /me/keys/key_1", (401, {"code": "unauthenticated", "detail": "The key was revoked."}))
    assert run_k1(capfd, "logout", "--home", home).returncode == 0
    assert not (Path(home) / "login.json").exists()


def test_a_refused_credential_says_what_to_do(gateway: StubGateway, home: str, capfd: Any) -> None:
    """And a damaged file which file it is."""
    gateway.on("GET /tracks", (401, {"code": "unauthenticated", "detail": "Sign in."}))
    done = run_k1(capfd, "tracks", "--home", home)
    assert done.returncode == 1
    assert "Sign in. (unauthenticated); sign in with `./k1 login" in done.stderr
    (Path(home) / "login.json").write_text("{")
    done = run_k1(capfd, "tracks", "--home", home)
    assert (done.returncode, "login.json cannot be read" in done.stderr) == (1, True)


def test_which_credential_counts(tmp_path: Path) -> None:
    """A variable before the login, the login before the key of the stack."""
    assert find_credential(tmp_path, {}) is None
    (tmp_path / "api-key").write_text("k1_stack\n")
    assert find_credential(tmp_path, {}) == "k1_stack"
    (tmp_path / "login.json").write_text(json.dumps({"key": "k1_login", "key_id": "key_1", "email": "a"}))
    assert find_credential(tmp_path, {}) == "k1_login"
    assert find_credential(tmp_path, {"K1_TOKEN": "a.b.c"}) == "a.b.c"
    assert find_credential(tmp_path, {"K1_TOKEN": "a.b.c", "K1_API_KEY": " k1_env "}) == "k1_env"


def test_the_object_store_gets_no_credential(gateway: StubGateway) -> None:
    """A signed URL is enough, and whoever answers there must not learn the key."""
    gateway.on_stream("GET /object", b"bytes")
    with GatewayClient(gateway.url, credential="k1_secret") as client:
        assert client.fetch(f"{gateway.url}/object") == b"bytes"
    assert gateway.requests[-1].authorization is None


def test_users_are_managed_by_address(gateway: StubGateway, home: str, capfd: Any) -> None:
    """The list has every page; a similar address is not taken for the one that was named."""
    other = {**USER, "id": "usr_2", "email": "joann@example.org", "disabled": True}
    pages = iter([page(USER, cursor="n"), page(other)])
    gateway.responses["GET /users"] = lambda _: next(pages)
    done = run_k1(capfd, "users", "list", "--json", "--home", home)
    assert [each["email"] for each in done.json["items"]] == ["ann@example.org", "joann@example.org"]
    gateway.on("GET /users", page(other, USER))
    gateway.on(f"PATCH /users/{USER['id']}", (200, {**USER, "role": "operator"}))
    gateway.on(f"DELETE /users/{USER['id']}", (200, {"user_id": USER["id"]}))
    gateway.on("POST /users", (201, USER))
    for arguments in (
        ("add", "ann@example.org", "Ann", "--role", "editor"),
        ("role", "Ann@example.org", "operator"),
        ("disable", "ann@example.org"),
        ("enable", "ann@example.org"),
        ("remove", "ann@example.org"),
    ):
        done = run_k1(capfd, "users", *arguments, "--home", home)
        assert (done.returncode, done.stderr) == (0, ""), arguments
    changes = [body for path, body, _ in sent(gateway) if path == f"/users/{USER['id']}"]
    assert changes == [{"role": "operator"}, {"disabled": True}, {"disabled": False}, None]
    assert run_k1(capfd, "users", "role", "nn@example.org", "viewer", "--home", home).returncode == 1


def test_a_new_key_is_shown_once(gateway: StubGateway, home: str, capfd: Any) -> None:
    """Alone on standard output, for scripts; a name that several keys have is no key."""
    gateway.on("POST /me/keys", (201, {"key": {**KEY, "name": "desk"}, "secret": "k1_new"}))
    done = run_k1(capfd, "keys", "add", "desk", "--role", "operator", "--days", "7", "--home", home)
    assert done.stdout == "k1_new\n"
    assert sent(gateway)[-1][1] == {"name": "desk", "role": "operator", "expires_in_days": 7}
    gateway.on("GET /me/keys", page({**KEY, "name": "desk"}))
    gateway.on(f"DELETE /me/keys/{KEY['id']}", (200, {"key_id": KEY["id"]}))
    assert "desk" in run_k1(capfd, "keys", "list", "--home", home).stdout
    assert run_k1(capfd, "keys", "remove", "desk", "--home", home).returncode == 0
    gateway.on("GET /me/keys", page({**KEY, "name": "desk"}, {**KEY, "id": "key_2", "name": "desk"}))
    done = run_k1(capfd, "keys", "remove", "desk", "--home", home)
    assert (done.returncode, "2 keys of yours" in done.stderr) == (1, True)
