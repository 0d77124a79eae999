"""Says who runs the command line."""

import getpass


def login_name() -> str:
    """Return the user name for the audit trail; `operator` where the account has none, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "operator"
