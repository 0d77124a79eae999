"""The commands `k1 web ...`, for people who change the web page."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

from typing import Annotated

import typer

from k1_cli.checkout import DEFAULT_HOME, run_module
from k1_cli.commands.common import HomeOption
from k1_cli.output.console import messages, results

app = typer.Typer(
    help="Build, test and develop the web page (docs/web.md); using it needs none of this.",
    no_args_is_help=True,
)


@app.command()
def build() -> None:
    """Build the page from webapp/ into the folder that the gateway serves; commit the result.

    Example: ./k1 web build
    """
    from k1_cli import page_build

    raise typer.Exit(page_build.build())


@app.command()
def schema() -> None:
    """Generate the types of the API from docs/openapi.json.

    Example: ./k1 web schema
    """
    from k1_cli import page_build

    raise typer.Exit(page_build.generate_schema(page_build.SCHEMA))


@app.command(name="test")
def run_tests(
    paths: Annotated[
        list[str] | None,
        typer.Argument(help="Files or folders of webapp/src; all by default.", show_default=False),
    ] = None,
) -> None:
    """Run the unit tests of the page, or those of the given paths; without paths also the tests in Chromium.

    Those in Chromium are in tests/web and skipped where there is none. Example: ./k1 web test src/library
    """
    from k1_cli import page_build

    code = page_build.run_node(["node_modules/vitest/vitest.mjs", "run", *(paths or [])])
    if code == 0 and not paths:
        code = run_module("pytest", page_build.BROWSER_TESTS)
    raise typer.Exit(code)


@app.command()
def dev(
    home: HomeOption = DEFAULT_HOME,
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port of the development server.")] = 5173,
) -> None:
    """Serve the page from its sources, in front of the stack that runs on a home; changes appear at once.

    Example: ./k1 web dev
    """
    from k1_cli import page_build
    from k1_cli.stack.running_stack import require_stack

    stack = require_stack(home)
    query = stack.sign_in_link.partition("?")[2]
    results.print(f"The page: http://127.0.0.1:{port}/")
    if query:
        results.print(f"sign in, if you are not: http://127.0.0.1:{port}/sign-in?{query}")
    arguments = ["node_modules/vite/bin/vite.js", "--port", str(port), "--strictPort"]
    try:
        raise typer.Exit(page_build.run_node(arguments, {"K1_URL": stack.url}))
    except KeyboardInterrupt:
        messages.print("k1: stopped")
