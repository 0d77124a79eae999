"""The commands `k1 users ...`: the users and their roles, for administrators."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

from enum import StrEnum
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


class RoleName(StrEnum):
    """The roles, each of which may do everything that the ones before it may."""

    viewer = "viewer"
    editor = "editor"
    operator = "operator"
    admin = "admin"


UserArgument = Annotated[
    str, typer.Argument(metavar="USER", help="The e-mail address or the id of a user.", show_default=False)
]
RoleArgument = Annotated[RoleName, typer.Argument(help="What the user may do.", show_default=False)]

app = typer.Typer(help="Users and their roles.", no_args_is_help=True)


@app.command("list")
def list_all(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List the users.

    Example: ./k1 users list
    """
    from k1_cli.api.pages import all_items
    from k1_cli.output.table import TextTable

    with open_gateway(home) as gateway:
        found = list(all_items(gateway, "/users"))
    if as_json:
        print_json({"total": len(found), "items": found})
        return
    table = TextTable(("email", "name", "role", "state", "id"), flexible=("email", "name"))
    for user in found:
        table.add(user["email"], user["name"], user["role"], _state(user), user["id"])
    results.print(table)


@app.command()
def add(
    email: Annotated[
        str, typer.Argument(help="The address to which the invitation goes.", show_default=False)
    ],
    name: Annotated[str, typer.Argument(help="The name that others see.", show_default=False)],
    role: Annotated[RoleName, typer.Option(help="What the user may do.")] = RoleName.viewer,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Invite a user; a message with a link goes to the address.

    Example: ./k1 users add ann@example.org "Ann" --role editor
    """
    with open_gateway(home) as gateway:
        user = gateway.request("POST", "/users", json={"email": email, "name": name, "role": role.value})
    _show(
        user,
        as_json,
        f"{user['email']} is invited as {user['role']}; {k1_command('mail show')} shows the message",
    )


@app.command("role")
def set_role(
    user: UserArgument, role: RoleArgument, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False
) -> None:
    """Change the role of a user; the user's sessions notice it at once.

    Example: ./k1 users role ann@example.org operator
    """
    with open_gateway(home) as gateway:
        changed = _patch(gateway, user, {"role": role.value})
    _show(changed, as_json, f"{changed['email']} is {changed['role']}")


@app.command()
def disable(user: UserArgument, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Let a user in no more; sessions and keys end at once.

    Example: ./k1 users disable ann@example.org
    """
    with open_gateway(home) as gateway:
        changed = _patch(gateway, user, {"disabled": True})
    _show(changed, as_json, f"{changed['email']} is disabled")


@app.command()
def enable(user: UserArgument, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Let a disabled user in again.

    Example: ./k1 users enable ann@example.org
    """
    with open_gateway(home) as gateway:
        changed = _patch(gateway, user, {"disabled": False})
    _show(changed, as_json, f"{changed['email']} is enabled")


@app.command()
def remove(user: UserArgument, home: HomeOption = DEFAULT_HOME) -> None:
    """Delete a user with all sessions and keys.

    Example: ./k1 users remove ann@example.org
    """
    with open_gateway(home) as gateway:
        found = _find(gateway, user)
        gateway.request("DELETE", f"/users/{found['id']}")
    results.print(f"{found['email']} is removed")


def _find(gateway: "GatewayClient", reference: str) -> JsonObject:
    """Return the user with this address or id.

    Raises:
        CommandError: there is none.
    """
    if reference.startswith("usr_"):
        return gateway.request("GET", f"/users/{reference}")
    found: list[JsonObject] = gateway.request("GET", "/users", params={"search": reference[:100]})["items"]
    exact = [user for user in found if user["email"].casefold() == reference.casefold()]
    if not exact:
        raise CommandError(f"there is no user {reference}; {k1_command('users list')} lists them")
    return exact[0]


def _patch(gateway: "GatewayClient", reference: str, change: JsonObject) -> JsonObject:
    return gateway.request("PATCH", f"/users/{_find(gateway, reference)['id']}", json=change)


def _state(user: JsonObject) -> str:
    if user["disabled"]:
        return "disabled"
    return "active" if user["email_verified"] else "invited"


def _show(user: JsonObject, as_json: bool, sentence: str) -> None:
    if as_json:
        print_json(user)
    else:
        results.print(sentence)
