"""The command line. Commands import what they need when they run, so that `--help` answers at once."""

from jetassay.cli import auditing, comparing, keeping, measuring, supplying, tracking  # each registers its commands
from jetassay.cli.app import app

__all__ = ["app", "auditing", "comparing", "keeping", "main", "measuring", "supplying", "tracking"]


def main() -> None:
    """Entry point."""
    app()
