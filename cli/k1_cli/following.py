"""Following a deployment to its end: live where a person watches, a line a change where none does."""

import time
from collections.abc import Callable, Generator
from contextlib import closing
from datetime import UTC, datetime
from typing import Final

from rich.console import RenderableType
from rich.live import Live

from k1_cli.board import OVER, Board
from k1_cli.console import messages
from k1_cli.errors import CommandError
from k1_cli.gateway import Gateway
from k1_cli.lookup import song_title
from k1_cli.watching import render
from k1_contracts.messages.deployment_queries import DeploymentView
from k1_contracts.messages.deployments import DeploymentChange

_PATIENCE_S: Final = 60.0
_PAUSE_S: Final = 0.5
_REFRESHES: Final = 8.0


def follow(gateway: Gateway, deployment_id: str) -> Board:
    """Show the deployment until it ends; returns its last state.

    Raises:
        CommandError: there is no such deployment, or the gateway stays away.
    """
    view = DeploymentView.model_validate(gateway.deployment(deployment_id))
    board = Board(view, song_title(gateway, view.track_id))
    if not messages.is_terminal:
        for line in board.tail:
            messages.print(line)
        _follow(gateway, board, messages.print)
        return board

    def picture() -> RenderableType:
        return render(board, datetime.now(UTC))

    with Live(get_renderable=picture, console=messages, refresh_per_second=_REFRESHES):
        _follow(gateway, board, lambda _: None)
    return board


def _follow(gateway: Gateway, board: Board, tell: Callable[[str], None]) -> None:
    with closing(_events(gateway, board.view.id)) as events:
        for name, body in events:
            if name == "deployment":
                board.take_view(DeploymentView.model_validate_json(body))
            else:
                for line in board.take_change(DeploymentChange.model_validate_json(body)):
                    tell(line)
            if _is_behind(board):
                board.take_view(DeploymentView.model_validate(gateway.deployment(board.view.id)))
            if board.view.status in OVER:
                return


def _is_behind(board: Board) -> bool:
    """Changes tell of steps; the batches are known from the staging on, and the reason at the end."""
    if board.status in OVER:
        return board.view.status not in OVER
    return board.status == "staging" and board.view.status in {"queued", "checking"}


def _events(gateway: Gateway, deployment_id: str) -> Generator[tuple[str, str]]:
    """Of one stream after another: a gateway that is restarted ends its streams."""
    lost_until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            with closing(gateway.deployment_events(deployment_id)) as stream:
                for event in stream:
                    lost_until = time.monotonic() + _PATIENCE_S
                    yield event
        except ConnectionError as error:
            if time.monotonic() > lost_until:
                raise CommandError(f"the gateway stays away: {error}; the deployment goes on") from error
        time.sleep(_PAUSE_S)
