"""Runs a server of the standard library in a thread of the test's process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import BaseServer

_POLL_S = 0.01
"""How soon the server notices that it shall end."""


@contextmanager
def serving(server: BaseServer) -> Iterator[None]:
    """Serve until the block ends, then close the server."""
    thread = threading.Thread(target=server.serve_forever, args=(_POLL_S,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
