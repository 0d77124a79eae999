"""The commands `k1 login`, `k1 logout` and `k1 whoami`: who this command line acts as."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from k1_cli.checkout import DEFAULT_HOME
from k1_cli.commands.common import HomeOption, JsonOption, open_gateway
from k1_cli.errors import CommandError
from k1_cli.json_types import JsonObject
from k1_cli.output.console import print_json, results
from k1_cli.output.hints import k1_command

if TYPE_CHECKING:
    from k1_cli.api.client import GatewayClient

_KEY_DAYS = 90


def login(
    email: Annotated[
        str | None, typer.Argument(help="Your e-mail address; asked for by default.", show_default=False)
    ] = None,
    link: Annotated[
        str | None,
        typer.Option(
            help="Instead of a password: the link that `k1 up` printed, or its token.", show_default=False
        ),
    ] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input, for scripts.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Sign in, and keep a key for this command line for 90 days.

    Example: ./k1 login ann@example.org
    """
    from k1_cli.api.client import GatewayClient
    from k1_cli.api.credentials import StoredLogin, store_login
    from k1_cli.stack.running_stack import require_stack

    stack = require_stack(home)
    with GatewayClient(stack.url, stack.network.ca) as guest:
        started = _start_session(guest, email, link, from_stdin=password_stdin)
    user: JsonObject = started["user"]
    with GatewayClient(stack.url, stack.network.ca, started["access_token"]) as gateway:
        body = {"name": f"k1 on {_machine()}", "role": user["role"], "expires_in_days": _KEY_DAYS}
        made = gateway.request("POST", "/me/keys", json=body)
        store_login(stack.home.root, StoredLogin(made["secret"], made["key"]["id"], user["email"]))
        gateway.request("POST", "/auth/logout", json={"refresh_token": started["refresh_token"]})
    results.print(f"signed in as {user['email']} ({user['role']}); {k1_command('logout')} ends it")


def _start_session(
    guest: "GatewayClient", email: str | None, link: str | None, *, from_stdin: bool
) -> JsonObject:
    """Return a new session; the password is asked for without an echo."""
    from urllib.parse import parse_qs, urlsplit

    if link is not None:
        token = parse_qs(urlsplit(link).query).get("token", [link])[0]
        return guest.request("POST", "/auth/link", json={"token": token})
    address = email or typer.prompt("E-mail address")
    if from_stdin:
        password = typer.get_text_stream("stdin").readline().rstrip("\n")
    else:
        password = typer.prompt("Password", hide_input=True)
    return guest.request("POST", "/auth/login", json={"email": address, "password": password})


def logout(home: HomeOption = DEFAULT_HOME) -> None:
    """Revoke the key of `k1 login` and forget it.

    Example: ./k1 logout
    """
    from k1_cli.api.client import SignInError
    from k1_cli.api.credentials import read_login, remove_login
    from k1_cli.stack.embedded.home import Home

    root = Home(home).root
    stored = read_login(root)
    if stored is None:
        raise CommandError(f"nobody is signed in here; {k1_command('login')} signs in")
    try:
        with _gateway_with(home, stored.key) as gateway:
            gateway.request("DELETE", f"/me/keys/{stored.key_id}")
    except SignInError:
        pass  # the key was revoked elsewhere, or has expired
    remove_login(root)
    results.print(f"{stored.email} is signed out")


def _gateway_with(home: Path, credential: str) -> "GatewayClient":
    from k1_cli.api.client import GatewayClient
    from k1_cli.stack.running_stack import require_stack

    stack = require_stack(home)
    return GatewayClient(stack.url, stack.network.ca, credential)


def whoami(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show who this command line acts as.

    Example: ./k1 whoami
    """
    with open_gateway(home) as gateway:
        user = gateway.request("GET", "/me")
    if as_json:
        print_json(user)
        return
    results.print(f"{user['name']} <{user['email']}>, {user['role']}")


def _machine() -> str:
    import socket

    return socket.gethostname()[:60] or "this machine"
