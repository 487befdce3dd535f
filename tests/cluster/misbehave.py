"""Dask loads this into workers (`distributed.worker.preload`): they die, fail or take their time over some files.

MISBEHAVE holds JSON: `seconds` that each reading takes more, `kill` and `raise`: names of files; `kill_once`: likewise,
but only the first worker dies of them; `version`: what jetassay calls itself; `loads`: a file that takes a line for
each backbone that is loaded.
"""

import json
import os
import signal
import time
from pathlib import Path

HOW = json.loads(os.environ.get("MISBEHAVE", "{}"))


def dask_setup(worker):
    """Called by Dask when a worker starts."""
    from jetassay.backbones import loading
    from jetassay.embeddings import units
    from jetassay.embeddings.scheduling import worker as ours

    read, load = units.read_chunks, loading.load_backbone

    def read_chunks(path, **options):
        time.sleep(HOW.get("seconds", 0))
        if path.name in HOW.get("kill", ()):
            os.kill(os.getpid(), signal.SIGKILL)
        if path.name in HOW.get("kill_once", ()):
            mark = Path(HOW["marks"]) / path.name
            if not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        if path.name in HOW.get("raise", ()):
            raise RuntimeError("this file upsets the worker")
        return read(path, **options)

    def load_backbone(card, **options):
        with Path(HOW["loads"]).open("a") as file:
            file.write(f"{os.getpid()} {card.reference}\n")
        return load(card, **options)

    units.read_chunks = read_chunks
    if "loads" in HOW:
        loading.load_backbone = load_backbone
    if "version" in HOW:
        ours.jetassay.__version__ = HOW["version"]
