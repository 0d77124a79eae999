"""The commands `k1 keys ...`: the API keys of the user who is signed in."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

from typing import Annotated

import typer

from k1_cli.checkout import DEFAULT_HOME
from k1_cli.commands.common import HomeOption, JsonOption, open_gateway
from k1_cli.errors import CommandError
from k1_cli.output.console import messages, print_json, results
from k1_cli.output.hints import k1_command

app = typer.Typer(help="Your API keys.", no_args_is_help=True)


@app.command("list")
def list_all(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List your keys, the newest first.

    Example: ./k1 keys list
    """
    from k1_cli.api.pages import all_items
    from k1_cli.output.table import TextTable

    with open_gateway(home) as gateway:
        found = list(all_items(gateway, "/me/keys"))
    if as_json:
        print_json({"total": len(found), "items": found})
        return
    table = TextTable(("name", "role", "begins with", "expires", "last used", "id"), flexible=("name",))
    for key in found:
        used = key.get("last_used_at", "never")[:10]
        table.add(key["name"], key["role"], key["hint"], key.get("expires_at", "never")[:10], used, key["id"])
    results.print(table)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What the key is for.", show_default=False)],
    role: Annotated[
        str, typer.Option(help="viewer, editor, operator or admin; at most your own.")
    ] = "viewer",
    days: Annotated[int, typer.Option(min=1, max=3650, help="When it expires, in days.")] = 90,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Make a key. It is printed now and never again.

    Example: ./k1 keys add "lighting desk" --role operator
    """
    with open_gateway(home) as gateway:
        body = {"name": name, "role": role, "expires_in_days": days}
        made = gateway.request("POST", "/me/keys", json=body)
    if as_json:
        print_json(made)
        return
    messages.print(
        f"{made['key']['name']} may do what {made['key']['role']} may; keep the key, it is not shown again:"
    )
    results.print(made["secret"])


@app.command()
def remove(
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="The id, its beginning, or the name.", show_default=False)
    ],
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Revoke a key at once.

    Example: ./k1 keys remove "lighting desk"
    """
    from k1_cli.api.pages import all_items

    with open_gateway(home) as gateway:
        found = [
            each
            for each in all_items(gateway, "/me/keys")
            if each["id"].startswith(key) or each["name"] == key
        ]
        if len(found) != 1:
            what = "no key" if not found else f"{len(found)} keys"
            raise CommandError(
                f"{what} of yours is called {key}; {k1_command('keys list')} lists them with their ids"
            )
        gateway.request("DELETE", f"/me/keys/{found[0]['id']}")
    results.print(f"{found[0]['name']} is revoked")
