"""Watches a deployment until it ends: a live view on a terminal, one line per change elsewhere."""

import time
from collections.abc import Callable, Generator
from contextlib import closing
from datetime import UTC, datetime
from typing import Final

from rich.console import RenderableType
from rich.live import Live

from k1_cli.api.client import GatewayClient
from k1_cli.api.lookup import song_title
from k1_cli.deployments.live_view import FINISHED, LiveView
from k1_cli.deployments.rendering import render
from k1_cli.errors import CommandError
from k1_cli.output.console import messages
from k1_contracts.messages.deploy.deployment_queries import DeploymentView
from k1_contracts.messages.deploy.deployments import DeploymentChange

_PATIENCE_S: Final = 60.0
_PAUSE_S: Final = 0.5
_REFRESHES: Final = 8.0


def watch_deployment(gateway: GatewayClient, deployment_id: str) -> LiveView:
    """Show the deployment until it ends and return its last state.

    Raises:
        CommandError: there is no such deployment, or the gateway does not come back.
    """
    view = DeploymentView.model_validate(gateway.deployment(deployment_id))
    live = LiveView(view, song_title(gateway, view.track_id))
    if not messages.is_terminal:
        for line in live.log_tail:
            messages.print(line)
        _apply_events(gateway, live, messages.print)
        return live

    def picture() -> RenderableType:
        return render(live, datetime.now(UTC))

    with Live(get_renderable=picture, console=messages, refresh_per_second=_REFRESHES):
        _apply_events(gateway, live, lambda _: None)
    return live


def _apply_events(gateway: GatewayClient, live: LiveView, print_line: Callable[[str], None]) -> None:
    with closing(_events(gateway, live.view.id)) as events:
        for name, body in events:
            if name == "deployment":
                live.replace(DeploymentView.model_validate_json(body))
            else:
                for line in live.apply(DeploymentChange.model_validate_json(body)):
                    print_line(line)
            if _is_behind(live):
                live.replace(DeploymentView.model_validate(gateway.deployment(live.view.id)))
            if live.view.status in FINISHED:
                return


def _is_behind(live: LiveView) -> bool:
    """Return whether a full view is needed: changes hold steps, but neither the batches nor the final reason."""
    if live.status in FINISHED:
        return live.view.status not in FINISHED
    return live.status == "staging" and live.view.status in {"queued", "checking"}


def _events(gateway: GatewayClient, deployment_id: str) -> Generator[tuple[str, str]]:
    """Yield the events of one stream after another, because a gateway that restarts ends its streams."""
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
