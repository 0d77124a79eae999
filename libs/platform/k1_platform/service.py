"""Runs a service: one process with one port and one event loop, which shuts down cleanly on SIGTERM.

Each service calls `run_service` with a function that opens its stores and registers its handlers.
"""

import asyncio
import gc
import logging
import signal
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Final

import uvloop
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from opentelemetry.instrumentation.aiohttp_server import AioHttpServerInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry, Info, ProcessCollector

from k1_platform.auth.tls import server_context
from k1_platform.http.server import LimitedRunner, ServerLimits
from k1_platform.nats.bus.client import Bus, connect, make_broker
from k1_platform.nats.bus.gauges import BusGauges
from k1_platform.nats.bus.health import nats_check
from k1_platform.nats.dead_letters.relay import subscribe_dead_letter_relay
from k1_platform.observability.error_reports import configure_error_reports
from k1_platform.observability.health import Check, health_routes
from k1_platform.observability.http_metrics import HttpMetrics
from k1_platform.observability.logging import configure_logging
from k1_platform.observability.tracing import configure_tracing, pass_trace_on
from k1_platform.processes.tasks import CANCEL_INTERVAL_S, cancel_tasks, is_set_within
from k1_platform.settings import HttpSettings, NatsSettings, ObservabilitySettings

STOPPING: Final = web.AppKey("stopping", asyncio.Event)
"""The key of an event in the application that is set when the service stops. Long responses end when it is set."""
_log = logging.getLogger(__name__)
Work = Callable[[], Coroutine[Any, Any, None]]


@dataclass(slots=True)
class Runtime:
    """What a running service has opened; the `wire` function of the service adds to it."""

    name: str
    version: str
    registry: CollectorRegistry
    tracer_provider: TracerProvider
    bus: Bus
    cleanup: AsyncExitStack
    """Closes the opened resources in reverse order, after the subscribers have finished."""
    checks: dict[str, Check] = field(default_factory=dict[str, Check])
    routes: list[web.AbstractRouteDef] = field(default_factory=list[web.AbstractRouteDef])
    middlewares: list[Middleware] = field(default_factory=list[Middleware])
    about: dict[str, str] = field(default_factory=dict[str, str])
    """Further fields of the responses of `/livez` and `/readyz`; a service may change them while it runs."""
    works: list[tuple[str, Work, float]] = field(default_factory=list[tuple[str, Work, float]])
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the service stops: load balancers must send nothing new."""

    def background(self, work: Work, name: str, *, cancel_interval_s: float = CANCEL_INTERVAL_S) -> None:
        """Run `work` after the broker has started, until the service stops.

        The service stops when `work` ends. When the service stops, `work` is cancelled, again every
        `cancel_interval_s`, and may still use the broker.
        """
        self.works.append((name, work, cancel_interval_s))


Wire = Callable[[Runtime], Awaitable[None]]


def run_service(
    name: str, http: HttpSettings, wire: Wire, *, transient: tuple[type[Exception], ...] = ()
) -> None:
    """Run a service until SIGTERM or Ctrl-C. `wire` opens its stores and registers its handlers.

    `transient`: errors after which a message is delivered again.
    """
    uvloop.run(_serve(name, http, wire, transient))


async def _serve(name: str, http: HttpSettings, wire: Wire, transient: tuple[type[Exception], ...]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as cleanup:
        runtime = await _start(name, http, wire, transient, cleanup)
        await stop.wait()
        _log.info("stopping", extra={"drain_s": http.drain_s})
        stop.clear()
        runtime.draining.set()
        await is_set_within(stop, http.drain_s)  # a second signal ends the wait


async def _start(
    name: str,
    http: HttpSettings,
    wire: Wire,
    transient: tuple[type[Exception], ...],
    cleanup: AsyncExitStack,
) -> Runtime:
    observability = ObservabilitySettings()
    configure_logging(name, observability.log_level)
    release = version(f"k1-{name}")
    configure_error_reports(name, release, observability)
    tracer_provider = configure_tracing(name, release, observability)
    cleanup.callback(tracer_provider.shutdown)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    Info("k1_service", "The running service", registry=registry).info({"service": name, "version": release})
    broker = make_broker(
        NatsSettings(), service=name, registry=registry, tracer_provider=tracer_provider, transient=transient
    )
    runtime = Runtime(name, release, registry, tracer_provider, await connect(broker), cleanup=cleanup)
    runtime.checks["nats"] = nats_check(runtime.bus)
    await wire(runtime)
    subscribe_dead_letter_relay(runtime.bus)
    runtime.background(BusGauges(runtime.bus, name, registry).run, "measurement of the bus")
    # Pushed after what `wire` opened, so it stops before that: no message is handled while the stores close.
    cleanup.push_async_callback(broker.stop)
    await broker.start()
    for work_name, work, cancel_interval_s in runtime.works:
        _run_in_background(work_name, work, cancel_interval_s, cleanup)
    runtime.about.update(name=name, version=release)
    if observability.otlp_endpoint is not None:
        # Instrument before the application exists: the instrumentation replaces its class.
        AioHttpServerInstrumentor().instrument(tracer_provider=tracer_provider)
    else:
        runtime.middlewares.insert(0, pass_trace_on)
    await _listen(runtime, http)
    # What was made until now stays, so the garbage collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    return runtime


async def _listen(runtime: Runtime, http: HttpSettings) -> None:
    metrics = HttpMetrics(runtime.registry)
    middlewares = [metrics.middleware(), _close_when_draining(runtime.draining), *runtime.middlewares]
    application = web.Application(middlewares=middlewares, client_max_size=1024 * 1024)
    application.on_response_prepare.append(metrics.note_stream)
    application.add_routes(health_routes(runtime.checks, runtime.registry, runtime.about, runtime.draining))
    application.add_routes(runtime.routes)
    application[STOPPING] = asyncio.Event()
    application.on_shutdown.append(_stop_long_responses)
    runner = LimitedRunner(application, ServerLimits.of(http), access_log=None, handle_signals=False)
    await runner.setup()
    runtime.cleanup.push_async_callback(runner.cleanup)
    context = server_context(http.tls_cert, http.tls_key) if http.tls_cert and http.tls_key else None
    addresses = await runner.listen(http.host, http.port, context)
    _log.info("listening", extra={"addresses": [list(address) for address in addresses]})


def _close_when_draining(draining: asyncio.Event) -> Middleware:
    """Return the middleware that ends connections once the service drains, so that clients open others elsewhere."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if draining.is_set() and not response.prepared:
            response.force_close()
        return response

    return middleware


async def _stop_long_responses(application: web.Application) -> None:
    application[STOPPING].set()


def _run_in_background(name: str, work: Work, cancel_interval_s: float, cleanup: AsyncExitStack) -> None:
    task = asyncio.create_task(work(), name=name)
    task.add_done_callback(lambda done: _on_task_end(name, done))

    cleanup.push_async_callback(cancel_tasks, [task], cancel_interval_s)


def _on_task_end(name: str, task: "asyncio.Future[None]") -> None:
    if task.cancelled():
        return
    error = task.exception()
    _log.critical("background task ended", extra={"task": name}, exc_info=error)
    signal.raise_signal(signal.SIGTERM)
