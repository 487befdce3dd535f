"""Clusters of our own: processes of this machine, or jobs of a batch system. Nobody else can give them work."""

import logging
import shutil
import signal
from contextlib import suppress
from typing import Any

from jetassay.errors import ClusterError
from jetassay.places import cache_folder

BATCH_SYSTEMS = {"slurm": "SLURMCluster", "htcondor": "HTCondorCluster"}
_PROLOGUE = ("export DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE=False",)
"""A worker with much memory in use would pause for ever, since nothing can be spilled; batch systems have limits."""


def start_processes(workers: int) -> Any:
    """A cluster of processes on this machine with a thread each; its dashboard takes any free port.

    Its ports are open to every account of the machine, so whoever connects must have a key that only it and we know.
    """
    from distributed import LocalCluster

    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        memory_limit=0,  # embedding has its own bounds; Dask's would pause a worker for ever
        dashboard_address="127.0.0.1:0",
        security=True,
        silence_logs=logging.CRITICAL,
    )


def submit_workers(system: str, workers: int) -> Any:
    """Workers as jobs of a batch system, as the user's Dask configuration describes them. Raises `ClusterError`.

    Keys are those of the configuration, or made for this run: files in the cache that only this account may read, and
    that go with the cluster.
    """
    import dask
    from distributed import Security

    kind = getattr(_jobqueue(), BATCH_SYSTEMS[system])
    command = kind.job_cls.submit_command
    if shutil.which(command) is None:
        raise ClusterError(f"--scheduler {system}: there is no {command} here; run this where jobs are submitted")
    keys = cache_folder().absolute()  # which every worker sees
    try:
        keys.mkdir(parents=True, exist_ok=True)
        prologue = dask.config.get(f"jobqueue.{system}.job-script-prologue") or []
        cluster = kind(
            silence_logs=logging.CRITICAL,
            job_script_prologue=[*prologue, *_PROLOGUE],
            security=Security() if dask.config.get("distributed.comm.tls.ca-file", None) else True,
            shared_temp_directory=dask.config.get(f"jobqueue.{system}.shared-temp-directory") or str(keys),
        )
    except ValueError as error:
        raise ClusterError(
            f"--scheduler {system}: {' '.join(str(error).split())}. Say so in `jobqueue: {system}:` of a file in "
            "~/.config/dask, which is where jobs are described"
        ) from error
    except OSError as error:
        raise ClusterError(f"--scheduler {system}: no scheduler can be started here: {error}") from error

    async def submit() -> None:
        cluster.scale(workers)
        await cluster._correct_state()  # noqa: SLF001 - `scale` alone hides that a job was refused

    try:
        cluster.sync(submit)
    except (RuntimeError, ValueError, OSError) as error:
        with suppress(Exception):  # Dask stumbles over the job that never was
            cluster.close()
        raise ClusterError(
            f"--scheduler {system}: {command} refuses the job: {' '.join(str(error).split())}"
        ) from error
    return cluster


def _jobqueue() -> Any:
    """The module, whose import alone would make Ctrl-C end the process at once, with exit code 0."""
    before = signal.getsignal(signal.SIGINT)
    import dask_jobqueue

    signal.signal(signal.SIGINT, before)
    return dask_jobqueue
