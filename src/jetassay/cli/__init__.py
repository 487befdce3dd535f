"""The command line. Commands import what they need when they run, so that `--help` answers at once."""

import os
import sys
import traceback

from jetassay.cli import auditing, comparing, keeping, measuring, supplying, tracking  # each registers its commands
from jetassay.cli.app import answer, app

TRACEBACK_VARIABLE = "JETASSAY_TRACEBACK"
"""Environment variable that, if set, has an error that nobody expected printed with its traceback."""

__all__ = ["app", "auditing", "comparing", "keeping", "main", "measuring", "supplying", "tracking"]


def main() -> None:
    """Entry point.

    An error that nobody expected is one line too, and exit code 1. That is done here and not by the commands, so that
    tests, which call these, see the error itself.
    """
    try:
        app()
    except Exception as error:  # noqa: BLE001 - it may be anything; it ends here, and is told
        if os.environ.get(TRACEBACK_VARIABLE):
            answer(traceback.format_exc(), end="", file=sys.stderr)
        else:
            said = " ".join(f"{type(error).__name__}: {error}".split())
            answer(
                f"error: unexpected {said} (a fault of jetassay or of what it uses; {TRACEBACK_VARIABLE}=1 in front of "
                "the same command shows where)",
                file=sys.stderr,
            )
        sys.exit(1)
