"""Launches a server for the supervisor: sets a death signal, gives up root where asked, then execs the server.

It runs as a plain script (`python -I -S launch.py SIGNAL PARENT UID GID COMMAND...`), because this is not safe after a
fork of a threaded Python process (`preexec_fn`). UID and GID are -1 to keep the current user.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_SET_SECUREBITS = 28
SECBIT_NO_SETUID_FIXUP = 1 << 2
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
CAP_SETPCAP = 8


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilitySets(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def give_up_root(libc: ctypes.CDLL, uid: int, gid: int) -> None:
    """Change to `uid`, and keep only the capability to read folders that are closed to that user.

    PostgreSQL refuses to run as root, but root's home and temporary folders have mode 700. Where the capability cannot
    be kept, the server still works as long as its folders are open to `uid`.
    """
    libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        # access(), with which PostgreSQL looks for its programs, ignores capabilities unless this bit is set.
        if _keep_capabilities(libc, 1 << capability | 1 << CAP_SETPCAP):
            libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
        if _keep_capabilities(libc, 1 << capability):
            libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)
            return


def _keep_capabilities(libc: ctypes.CDLL, capabilities: int) -> bool:
    """Keep these capabilities and drop all others; return whether that was permitted."""
    header = _CapabilityHeader(CAPABILITY_VERSION_3, 0)
    sets = (_CapabilitySets * 2)()
    sets[0].effective = sets[0].permitted = sets[0].inheritable = capabilities
    return libc.capset(ctypes.byref(header), sets) == 0


def main(arguments: list[str]) -> None:
    """Read the arguments described above and exec the command; exit with 1 when the parent has already ended."""
    death_signal, parent, uid, gid = (int(value) for value in arguments[:4])
    command = arguments[4:]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if uid != -1:
            give_up_root(libc, uid, gid)
        # A change of user clears the death signal, so it is set last. Then check that the parent still runs.
        libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit(1)
    elif uid != -1:
        os.setgid(gid)
        os.setuid(uid)
    os.execvp(command[0], command)  # noqa: S606  this process is to be replaced; there is no shell


if __name__ == "__main__":
    main(sys.argv[1:])
