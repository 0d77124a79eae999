"""The commands `k1 jobs ...`: list, show, cancel, retry and move analyses in the queue."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

from typing import TYPE_CHECKING, Annotated

import typer

from k1_cli.checkout import DEFAULT_HOME
from k1_cli.commands.common import HomeOption, JsonOption, open_gateway
from k1_cli.output.console import print_json, results
from k1_cli.output.hints import k1_command

if TYPE_CHECKING:
    from k1_contracts.messages.analysis import JobPage, JobView

JobArgument = Annotated[str, typer.Argument(help="The job: its id or a prefix of it.", metavar="JOB")]

app = typer.Typer(help="Analyses: list, show, cancel, retry, move in the queue.", no_args_is_help=True)


@app.command("list")
def list_all(
    *,
    track: Annotated[str | None, typer.Option(help="Only those of a track.")] = None,
    status: Annotated[str | None, typer.Option(help="Only those in a status, such as `queued`.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many at most.")] = 20,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List the newest analyses.

    Example: ./k1 jobs list --status queued
    """
    from k1_cli.api.lookup import find_track, song_titles
    from k1_contracts.messages.analysis import JobPage

    with open_gateway(home) as gateway:
        track_id = find_track(gateway, track) if track else None
        given = {"track_id": track_id, "status": status}
        chosen = {name: value for name, value in given.items() if value}
        page = gateway.request("GET", "/analysis/jobs", params={"limit": limit, **chosen})
        if as_json:
            print_json(page)
            return
        found = JobPage.model_validate(page)
        titles = song_titles(gateway, [item.track_id for item in found.items])
    _print_page(found, titles)


@app.command()
def show(job: JobArgument, *, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show a job: its status, place in the queue, estimate, log and cost.

    Example: ./k1 jobs show job_01JABCDEF
    """
    from k1_cli.api.lookup import find_job

    with open_gateway(home) as gateway:
        _print_job(gateway.job(find_job(gateway, job)), as_json=as_json)


@app.command()
def cancel(job: JobArgument, *, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Cancel a job that waits or runs.

    Example: ./k1 jobs cancel job_01JABCDEF
    """
    from k1_cli.api.lookup import find_job

    with open_gateway(home) as gateway:
        cancelled = gateway.request("DELETE", f"/analysis/jobs/{find_job(gateway, job)}")
    _print_job(cancelled, as_json=as_json)


@app.command()
def priority(
    job: JobArgument,
    level: Annotated[
        int, typer.Argument(min=1, max=10, metavar="PRIORITY", help="From 1 to 10; 10 is first.")
    ],
    *,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Move a waiting job in the queue.

    Example: ./k1 jobs priority job_01JABCDEF 9
    """
    from k1_cli.api.lookup import find_job

    with open_gateway(home) as gateway:
        path = f"/analysis/jobs/{find_job(gateway, job)}"
        moved = gateway.request("PATCH", path, json={"priority": level})
    _print_job(moved, as_json=as_json)


@app.command()
def retry(job: JobArgument, *, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Analyse again with the order of a job that failed or was cancelled.

    Example: ./k1 jobs retry job_01JABCDEF
    """
    from k1_cli.api.lookup import find_job

    with open_gateway(home) as gateway:
        accepted = gateway.request("POST", f"/analysis/jobs/{find_job(gateway, job)}/retry")
    if as_json:
        print_json(accepted)
        return
    again = k1_command(f"jobs show {accepted['job_id']}")
    results.print(f"{accepted['job_id']}: makes version {accepted['version']}; {again} shows it")


def _print_page(found: "JobPage", titles: dict[str, str]) -> None:
    from k1_cli.output.table import TextTable

    table = TextTable(
        ("job", "song", "version", "status", "priority", "done", "created"),
        flexible=("song",),
        right_aligned=("version", "priority", "done"),
    )
    for item in found.items:
        table.add(
            item.job_id,
            titles[item.track_id],
            str(item.version),
            _status(item),
            str(item.priority),
            f"{item.percent:.0f}%",
            f"{item.created_at:%Y-%m-%d %H:%M}",
        )
    results.print(table)
    results.print(f"{len(found.items)} of {found.total} jobs")


def _status(job: "JobView") -> str:
    return job.status if job.queue_position is None else f"{job.status}, place {job.queue_position}"


def _print_job(document: dict[str, object], *, as_json: bool) -> None:
    from k1_cli.output.formatting import field_lines

    if as_json:
        print_json(document)
        return
    for line in field_lines({name: value for name, value in document.items() if name != "log_tail"}):
        results.print(line)
    log = document.get("log_tail")
    for line in log if isinstance(log, list) else []:
        results.print(f"    {line}")
