"""The composition root of telemetry."""

from k1_contracts import streams
from k1_platform.health import durable_check
from k1_platform.service import Runtime, run_service
from k1_telemetry.meters import Meters
from k1_telemetry.settings import TelemetrySettings
from k1_telemetry.watch import Watch


async def wire(runtime: Runtime) -> None:
    """Watch the devices, or stand by for the process that does."""
    jetstream = runtime.bus.jetstream
    leaders = await jetstream.key_value(streams.LEADERS.name)
    watch = Watch(runtime.bus, leaders, Meters(runtime.registry), runtime.about)
    runtime.background(watch.run, "watch")
    runtime.checks |= {
        "samples": durable_check(jetstream, streams.TELEMETRY_SAMPLES),
        "presence": durable_check(jetstream, streams.TELEMETRY_PRESENCE),
    }


def main() -> None:
    """Run until stopped."""
    run_service("telemetry", TelemetrySettings(), wire)
