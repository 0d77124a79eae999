"""The commands `k1 backup` and `k1 restore`."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

import os
from pathlib import Path
from typing import Annotated

import typer

from k1_cli.checkout import DEFAULT_HOME
from k1_cli.commands.common import HomeOption
from k1_cli.output.console import messages, results
from k1_cli.output.hints import k1_command

Servers = Annotated[
    bool,
    typer.Option(
        "--servers",
        help="Use the servers and key folders that the environment variables K1_* name, instead of a home.",
    ),
]


def backup(
    folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet.", show_default=False)],
    home: HomeOption = DEFAULT_HOME,
    *,
    servers: Servers = False,
    wait: Annotated[
        float, typer.Option(min=1, help="How long accepted events may take to be handled, in seconds.")
    ] = 60.0,
) -> None:
    """Back up all data and keys of a running stack; changes are refused for some seconds.

    Example: ./k1 backup /mnt/backups/2026-11-29
    """
    from k1_cli.backup.create import make_backup
    from k1_cli.backup.stores import Stores
    from k1_cli.stack.running_stack import require_stack

    if servers:
        stores = Stores.of_environment(os.environ)
    else:
        stack = require_stack(home)
        stores = Stores.of_home(stack.home, stack.environment)
    made = make_backup(stores, folder, wait_s=wait, say=_say)
    results.print(
        f"backed up {len(made.files):,} files, {made.total_bytes / 1e6:,.1f} MB, in {made.took_s:.1f} s; "
        f"changes were refused for {made.changes_refused_s:.1f} s. {folder} contains keys: keep it as safe as the home"
    )


def restore(
    what: Annotated[
        str,
        typer.Argument(
            help="The folder of a backup; or a deleted track: its id, a prefix of it, or its title.",
            metavar="FOLDER|TRACK",
            show_default=False,
        ),
    ],
    home: HomeOption = DEFAULT_HOME,
    *,
    servers: Servers = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Of a backup: replace what the home holds now, for good.")
    ] = False,
    undo_token: Annotated[
        str | None,
        typer.Option(help="Of a track: the token of its deletion; for 30 seconds it needs no editor."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Of a track: print one JSON document.")] = False,
) -> None:
    """Restore a backup into an empty home, on this or another machine; or a deleted track.

    Example: ./k1 restore /mnt/backups/2026-11-29 --home /srv/k1
    """
    from k1_cli.commands.songs.track_life import restore_track

    if not Path(what).is_dir():
        restore_track(what, undo_token, home, as_json=as_json)
    elif servers:
        _restore_servers(Path(what))
    else:
        _restore_home(Path(what), home, overwrite=overwrite)


def _restore_home(folder: Path, home: Path, *, overwrite: bool) -> None:
    from k1_cli.backup.restore import restore_home

    made = restore_home(folder, home, overwrite=overwrite, say=_say)
    up = k1_command("up", home)
    results.print(f"restored the backup of {made.created_at:%Y-%m-%d %H:%M:%S} UTC; start it with {up}")


def _restore_servers(folder: Path) -> None:
    from k1_cli.backup.restore import restore_servers
    from k1_cli.backup.stores import Stores

    made = restore_servers(folder, Stores.of_environment(os.environ), say=_say)
    results.print(
        f"restored the backup of {made.created_at:%Y-%m-%d %H:%M:%S} UTC; restart the NATS servers before the first "
        "service starts: until then they accept repeated events"
    )


def _say(line: str) -> None:
    messages.print(f"k1: {line}")
