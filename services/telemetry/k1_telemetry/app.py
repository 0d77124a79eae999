"""The composition root of telemetry: so far the frame alone, with its health and metrics."""

from k1_platform.service import Runtime, run_service
from k1_telemetry.settings import TelemetrySettings


async def wire(_runtime: Runtime) -> None:
    """Register nothing: the frame connects to the broker and serves health and metrics."""


def main() -> None:
    """Run until stopped."""
    run_service("telemetry", TelemetrySettings(), wire)
