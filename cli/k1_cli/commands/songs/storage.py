"""The commands `k1 storage ...` and `k1 links ...`: the use of the object store, cleanup, links to artefacts."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

from typing import TYPE_CHECKING, Annotated

import typer

from k1_cli.checkout import DEFAULT_HOME
from k1_cli.commands.common import HomeOption, JsonOption, TrackArgument, VersionOption, open_gateway
from k1_cli.errors import CommandError
from k1_cli.output.console import messages, print_json, results
from k1_cli.output.hints import k1_command

if TYPE_CHECKING:
    from k1_contracts.messages.catalogue.storage import StorageCleanup

_BAR = 24

app = typer.Typer(help="The object store: how much is stored, and cleanup.", no_args_is_help=True)
links_app = typer.Typer(help="Links to artefacts: make, list, revoke.", no_args_is_help=True)


@app.command()
def usage(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show how much is stored, by type, the largest artefacts, and what a cleanup would free.

    Example: ./k1 storage usage
    """
    from rich.filesize import decimal as byte_count

    from k1_cli.output.table import TextTable
    from k1_contracts.messages.catalogue.storage import StorageUsage

    with open_gateway(home) as gateway:
        found = gateway.storage_usage()
    if as_json:
        print_json(found)
        return
    shown = StorageUsage.model_validate(found)
    total = f" of {byte_count(shown.total_bytes)} ({shown.used_ratio:.0%})" if shown.total_bytes else ""
    results.print(f"{byte_count(shown.used_bytes)}{total} in {shown.objects} objects")
    if shown.alert is not None:
        messages.print(shown.alert.message)
    table = TextTable(("type", "objects", "size", "share"), right_aligned=("objects", "size"))
    for each in shown.by_type:
        share = each.bytes / max(1, shown.used_bytes)
        table.add(each.type, str(each.objects), byte_count(each.bytes), "█" * round(share * _BAR) or "▏")
    results.print(table)
    largest = TextTable(
        ("largest", "song", "version", "size"), flexible=("song",), right_aligned=("version", "size")
    )
    for each in shown.top_artefacts:
        largest.add(each.name, each.title, str(each.version), byte_count(each.size_bytes))
    if shown.top_artefacts:
        results.print(largest)
    results.print(
        f"a cleanup would free {byte_count(shown.reclaimable_bytes)} ({shown.reclaimable_objects} objects): "
        + k1_command("storage cleanup")
    )


@app.command()
def cleanup(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed.")] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show what nothing refers to any more, ask, and remove it.

    Example: ./k1 storage cleanup
    """
    from k1_contracts.messages.catalogue.storage import StorageCleanup

    with open_gateway(home) as gateway:
        planned = StorageCleanup.model_validate(gateway.clean_up(dry_run=True))
        if not as_json:
            _print_cleanup(planned)
        if dry_run or planned.objects == 0:
            if as_json:
                print_json(planned.model_dump(mode="json"))
            return
        if not yes and not typer.confirm("Remove them?", err=True):
            raise CommandError("nothing was removed")
        done = gateway.clean_up(dry_run=False)
    if as_json:
        print_json(done)
        return
    removed = StorageCleanup.model_validate(done)
    kept = f"; {removed.kept_in_use} came into use and stayed" if removed.kept_in_use else ""
    results.print(f"removed {removed.objects} objects{kept}")


def _print_cleanup(planned: "StorageCleanup") -> None:
    from rich.filesize import decimal as byte_count

    from k1_cli.output.table import TextTable

    if planned.objects == 0:
        results.print("nothing to remove: everything is referred to, or too young")
        return
    table = TextTable(("object", "reason", "size"), flexible=("object",), right_aligned=("size",))
    for each in planned.removed:
        table.add(each.key, each.reason, byte_count(each.size_bytes))
    results.print(table)
    results.print(f"{planned.objects} objects, {byte_count(planned.bytes)}")


@links_app.command("make")
def make_link(
    track: TrackArgument,
    artefact: Annotated[
        str, typer.Argument(help="The name of the artefact, such as bundle.k1b.", metavar="NAME")
    ],
    *,
    version: VersionOption = None,
    hours: Annotated[float, typer.Option(min=1 / 60, max=720, help="How long the link works.")] = 24,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Make a link to an artefact that works without signing in.

    Example: ./k1 links make "My song" bundle.k1b --hours 2
    """
    from k1_cli.api.lookup import current_version, find_track

    with open_gateway(home) as gateway:
        found = gateway.track(find_track(gateway, track))["track"]
        number = version or current_version(found)
        present = [each for each in gateway.artefacts(found["id"], number) if each["status"] == "present"]
        named = next((each for each in present if each["name"] == artefact), None)
        if named is None:
            names = ", ".join(each["name"] for each in present)
            raise CommandError(f"version {number} has no artefact {artefact}; it has {names}")
        made = gateway.copy_link(found["id"], number, named["id"], round(hours * 3600))
        address = gateway.address(made["path"])
    if as_json:
        print_json(made | {"url": address})
        return
    results.print(address)
    messages.print(
        f"until {made['link']['expires_at']}; {k1_command('links revoke ' + made['link']['id'])} ends it"
    )


@links_app.command("list")
def list_links(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List the links that work, newest first.

    Example: ./k1 links list
    """
    from k1_cli.output.table import TextTable

    with open_gateway(home) as gateway:
        page = gateway.links()
    if as_json:
        print_json(page)
        return
    table = TextTable(
        ("id", "artefact", "made by", "until", "uses"), flexible=("made by",), right_aligned=("uses",)
    )
    for link in page["items"]:
        table.add(link["id"], link["name"], link["owner_name"], link["expires_at"], str(link["uses"]))
    results.print(table if page["items"] else "no links")


@links_app.command()
def revoke(
    link: Annotated[str, typer.Argument(help="The id of the link, or its token.", metavar="LINK")],
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """End a link at once.

    Example: ./k1 links revoke lnk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD
    """
    with open_gateway(home) as gateway:
        revoked = gateway.revoke_link(link)
    results.print(f"{revoked['id']} works no longer")
