"""Stands between the supervisor and a server: ties the two lives together, gives up root, becomes the server.

Run as a plain script (`python -I -S launch.py SIGNAL PARENT UID GID COMMAND...`), because doing this after a
fork of a threaded Python process (`preexec_fn`) is not safe. UID and GID are -1 to stay who we are.
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
    """Become `uid`, keeping only the right to read through folders that are closed to it.

    PostgreSQL refuses to run as root, yet root's home and its temporary folders have mode 700. Where even
    that right cannot be kept, the server still works as long as its folders are open to `uid`.
    """
    libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        # access(), by which PostgreSQL looks for its own programs, forgets capabilities unless this bit is set.
        if _hold(libc, 1 << capability | 1 << CAP_SETPCAP):
            libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
        if _hold(libc, 1 << capability):
            libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)
            return


def _hold(libc: ctypes.CDLL, capabilities: int) -> bool:
    """Keep these capabilities and no others, if this process may."""
    header = _CapabilityHeader(CAPABILITY_VERSION_3, 0)
    sets = (_CapabilitySets * 2)()
    sets[0].effective = sets[0].permitted = sets[0].inheritable = capabilities
    return libc.capset(ctypes.byref(header), sets) == 0


def main(arguments: list[str]) -> None:
    """Read the arguments named above and exec the command; exits with 1 when the parent is already gone."""
    death_signal, parent, uid, gid = (int(value) for value in arguments[:4])
    command = arguments[4:]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if uid != -1:
            give_up_root(libc, uid, gid)
        # A change of user clears the death signal, so this comes last; then look whether it came too late.
        libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit(1)
    elif uid != -1:
        os.setgid(gid)
        os.setuid(uid)
    os.execvp(command[0], command)  # noqa: S606  replacing ourselves is the point; there is no shell


if __name__ == "__main__":
    main(sys.argv[1:])
