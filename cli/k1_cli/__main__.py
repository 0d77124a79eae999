"""Entry point of `python -m k1_cli`, which the `k1` script runs."""

import sys
from typing import Final

_INTERRUPTED: Final = 130


def run() -> None:
    """Run the command line. Ctrl-C ends it without a stack trace, also during the imports."""
    try:
        from k1_cli.app import main  # noqa: PLC0415  the import takes most of a second

        main()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    run()
