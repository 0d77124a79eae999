"""The composition root of deploy: so far the frame alone, with its health and metrics."""

from k1_deploy.settings import DeploySettings
from k1_platform.service import Runtime, run_service


async def wire(_runtime: Runtime) -> None:
    """Register nothing: the frame connects to the broker and serves health and metrics."""


def main() -> None:
    """Run until stopped."""
    run_service("deploy", DeploySettings(), wire)
