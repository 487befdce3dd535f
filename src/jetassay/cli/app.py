"""The command line itself, how a command joins it, and the options that several commands share."""

import functools
import shutil
import sys
from collections.abc import Callable
from typing import Annotated, ParamSpec, TextIO

import typer

from jetassay.errors import JetAssayError
from jetassay.masking import mask

P = ParamSpec("P")

app = typer.Typer(
    name="jetassay",
    help="How good is a jet-tagging backbone? Embed the same jets with each, probe, compare, track.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only warnings, errors and the answer.")]
Device = Annotated[str, typer.Option(help="Where networks run: cpu, cuda, cuda:1 and so on.")]
Scheduler = Annotated[
    str, typer.Option(help="Who computes embeddings: local, processes, slurm, htcondor, or tcp://HOST:PORT of Dask.")
]
Workers = Annotated[
    int | None, typer.Option(help="Worker processes, for --scheduler processes, slurm and htcondor.", min=1)
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]


TrustCode = Annotated[
    bool, typer.Option("--trust-code", help="Run Python that cards bring along or name: others' code, your rights.")
]


def command(example: str, *, name: str | None = None) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Register a command with an example in its help; its errors are printed without a traceback.

    Exit codes: 0 done, 1 an error that the message explains, 2 wrong usage, 130 stopped with Ctrl-C.
    """

    def register(function: Callable[P, None]) -> Callable[P, None]:
        @functools.wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                function(*args, **kwargs)
            except JetAssayError as error:
                answer(f"error: {error}", file=sys.stderr)
                raise typer.Exit(130 if isinstance(error.__cause__, KeyboardInterrupt) else 1) from error
            except KeyboardInterrupt as error:
                print(
                    "stopped; what was finished is kept, and the same command goes on from there",
                    file=sys.stderr,
                )
                raise typer.Exit(130) from error

        return app.command(name, epilog=f"Example: {example}")(guarded)

    return register


def answer(text: object, *, end: str = "\n", file: TextIO | None = None) -> None:
    """Print what a command has found, without credentials."""
    print(mask(str(text)), end=end, file=file)


def width() -> int:
    """Columns of the terminal; 120 where there is none."""
    return max(shutil.get_terminal_size((120, 24)).columns, 40)
