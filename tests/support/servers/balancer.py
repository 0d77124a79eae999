"""A tiny load balancer: passes each connection to one of the backends that are ready, as a cluster's does."""

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

PROBE_INTERVAL_S = 0.05


@dataclass
class Balancer:
    """Probes `/readyz` of each backend by itself, and gives new connections to the ready ones in turn."""

    backends: set[str] = field(default_factory=set[str])
    """The URLs; change it at any time."""
    url: str = ""
    _ready: set[str] = field(default_factory=set[str])
    _turns: Iterator[int] = field(default_factory=itertools.count)

    def is_ready(self, backend: str) -> bool:
        """Return whether a backend was ready at the last probe."""
        return backend in self._ready

    async def serve(self, started: threading.Event) -> None:
        """Serve until `stop` is called."""
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        started.set()
        probing = asyncio.create_task(self._probe())
        await self._stopped.wait()
        probing.cancel()
        server.close()

    def stop(self) -> None:
        """End `serve`; another thread calls this."""
        self._loop.call_soon_threadsafe(self._stopped.set)

    async def _probe(self) -> None:
        async with httpx.AsyncClient(timeout=5) as http, asyncio.TaskGroup() as probes:
            known: dict[str, asyncio.Task[None]] = {}
            while True:
                self._ready &= self.backends
                for url in [url for url in self.backends if url not in known or known[url].done()]:
                    known[url] = probes.create_task(self._probe_one(http, url))
                await asyncio.sleep(PROBE_INTERVAL_S)

    async def _probe_one(self, http: httpx.AsyncClient, url: str) -> None:
        """Probe once; a slow backend does not delay the probes of the others."""
        try:
            response = await http.get(f"{url}/readyz")
        except httpx.HTTPError:
            is_ready = False
        else:
            is_ready = response.status_code == 200
        if is_ready and url in self.backends:
            self._ready.add(url)
        else:
            self._ready.discard(url)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            if not self._ready:
                return
            place = urlsplit(sorted(self._ready)[next(self._turns) % len(self._ready)])
            back_reader, back_writer = await asyncio.open_connection(place.hostname, place.port)
            with contextlib.closing(back_writer):
                await asyncio.gather(_copy(reader, back_writer), _copy(back_reader, writer))


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65_536):
            target.write(data)
            await target.drain()
        target.write_eof()


@contextmanager
def running_balancer() -> Generator[Balancer]:
    """Run a balancer in a thread until the block ends."""
    balancer, started = Balancer(), threading.Event()
    # `asyncio.run` ends what still runs, so that no connection is left to the garbage collector.
    thread = threading.Thread(target=lambda: asyncio.run(balancer.serve(started)), daemon=True)
    thread.start()
    assert started.wait(60)
    try:
        yield balancer
    finally:
        balancer.stop()
        thread.join()
