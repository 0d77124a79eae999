"""The zygote, whose forks become children of the supervisor."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

ZYGOTE = """
import json, os, sys, time
from pathlib import Path
from k1_cli.stack.embedded.errors import StackError
from k1_cli.stack.embedded.processes import Command
from k1_cli.stack.zygote import Zygote
folder, deadline = Path(sys.argv[1]), time.monotonic() + 120
zygote = Zygote(folder / "zygote.log")
def run(module, **environment):
    log = folder / f"{module}.log"
    child = zygote.spawn(Command((sys.executable, "-P", "-m", module), environment), log)
    while (parent := int(Path(f"/proc/{child.pid}/stat").read_text().rsplit(")", 1)[1].split()[1])) != os.getpid():
        assert time.monotonic() < deadline, parent
    return parent, child.wait(120), log.read_text()
found = [run("quotes", SAYING="well said"), run("absent_module"), run("sleeper")]
os.kill(zygote._process.pid, 9)
zygote._process.wait()
try:
    zygote.spawn(Command((sys.executable, "-P", "-m", "quotes")), folder / "late.log")
except StackError as error:
    found.append(str(error))
print(json.dumps([os.getpid(), *found]))
"""


def test_the_zygote_gives_real_children(tmp_path: Path) -> None:
    """Its forks become children of the supervisor, with environment, output and exit code; a killed zygote is an error."""
    (tmp_path / "quotes.py").write_text("import os; print(os.environ['SAYING'])")
    (tmp_path / "sleeper.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGTERM)")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", ZYGOTE, tmp_path],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    own_pid, quotes, absent, sleeper, late = json.loads(done.stdout)
    assert quotes[1:] == [0, "well said\n"]
    assert absent[1] == 1
    assert "No module named absent_module" in absent[2]
    assert sleeper[1] == -signal.SIGTERM
    assert {quotes[0], absent[0], sleeper[0]} == {own_pid}
    assert late == "the zygote has ended"
