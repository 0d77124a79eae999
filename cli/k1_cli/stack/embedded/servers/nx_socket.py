"""Runs `nx-27017` on a socket file, which its command line does not support.

`nx-27017` has no passwords; the folder of the socket file keeps other users out.
Run it as a plain script (`python -P nx_socket.py SOCKET FOLDER`), so that the server imports none of our packages.
"""

import asyncio
import logging
import signal
import sys
from typing import NoReturn

import uvloop
from nx_27017.handler import NeoSQLiteHandler
from nx_27017.server import handle_client


async def serve(socket_file: str, folder: str) -> None:
    """Serve clients until the process is stopped; `folder` contains one SQLite file for each database."""
    handler = NeoSQLiteHandler(data_dir=folder, journal_mode="WAL")

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await handle_client(reader, writer, handler)

    server = await asyncio.start_unix_server(handle, socket_file)
    async with server:
        await server.serve_forever()


def _end(*_: object) -> NoReturn:
    sys.exit(0)


if __name__ == "__main__":
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s - %(name)s - %(levelname)s - [%(process)d] - %(message)s"
    )
    signal.signal(signal.SIGTERM, _end)
    uvloop.run(serve(*sys.argv[1:]))
