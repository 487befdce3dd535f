"""Processes that have imported everything before they start: forks of one server, so that a trial costs no imports."""

import multiprocessing
import os
import runpy
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

_IMPORTED = [
    "torch", "uproot", "awkward", "sklearn.linear_model", "seaborn", "mlflow", "sqlalchemy.dialects.sqlite",
    "mlflow.store.tracking.sqlalchemy_store", "mlflow.store.artifact.local_artifact_repo",
    "jetassay.cli", "jetassay.run", "jetassay.tracking.runs", "jetassay.tracking.outbox", "jetassay.report.sections",
    "jetassay.backbones.part", "jetassay.backbones.loading", "jetassay.embeddings.datasets",
    "jetassay.embeddings.scheduling.driver", "distributed.cli.dask_scheduler", "distributed.cli.dask_worker",
]  # fmt: skip
_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(_IMPORTED)

JETASSAY = "jetassay.cli"
DASK_SCHEDULER, DASK_WORKER = "distributed.cli.dask_scheduler", "distributed.cli.dask_worker"
Prepare = Callable[..., Any]


def start(
    arguments: list[str],
    *,
    module: str = JETASSAY,
    environment: Mapping[str, str],
    log: Path,
    prepare: Prepare | None = None,
    given: tuple[Any, ...] = (),
) -> BaseProcess:
    """`jetassay ARGUMENTS` in a process of its own, its output in `log`; or another `module`, as `python -m` runs it.

    prepare: called there first with `given`; what it gives is called at the end, unless the process is killed
    """
    process = _server.Process(target=_main, args=(module, arguments, dict(environment), str(log), prepare, given))
    process.start()
    return process


def _main(
    module: str,
    arguments: list[str],
    environment: dict[str, str],
    log: str,
    prepare: Prepare | None,
    given: tuple[Any, ...],
) -> None:
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    os.environ.update(environment)
    tempfile.tempdir = environment["TMPDIR"]
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(out, number)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    ended = prepare(*given) if prepare is not None else None
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=False)
    finally:
        if callable(ended):
            ended()
