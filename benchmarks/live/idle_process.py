"""A process that holds idle WebSockets until its standard input ends: `HOST PORT COUNT`."""

import asyncio
import sys

from benchmarks.live.sockets import open_clients
from k1_contracts.ids import new_id


async def _hold(host: str, port: int, count: int) -> None:
    clients = await open_clients(
        host, port, [f"track:{new_id('trk')}" for _ in range(count)], lambda _number, _at_s: None
    )
    print("open", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    print(sum(client.is_open for client in clients), flush=True)


if __name__ == "__main__":
    asyncio.run(_hold(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
