"""Jobs of test_worker_pool, which crash, hang or grow as the test wants."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from typing import Any


class NamedError(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def work(job: dict[str, Any], report: Any) -> Any:
    match job["do"]:
        case "add":
            report("adding")
            return job["a"] + job["b"]
        case "pid":
            return os.getpid()
        case "raise":
            raise NamedError("bad_song", "the song is bad")
        case "crash":
            ctypes.string_at(0)
        case "exit":
            os._exit(3)
        case "hang":
            while True:
                time.sleep(60)
        case "bomb":
            hoard = [b"x" * (8 << 20) for _ in range(100)]  # a limit, in case the pool does not stop it
            while hoard:
                time.sleep(60)
        case "huge":
            return len(bytearray(1 << 42))
        case "orphan":
            process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            report(process.pid)
            signal.pause()
    return None
