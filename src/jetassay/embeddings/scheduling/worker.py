"""What a worker of a cluster does: the units of one range of entries, written to the store that all of them share.

A backbone is made here of its card, once in a process, and must be the driver's to the last digest. Arrays never
travel; shards go to the disk, and a worker answers with facts.
"""

import platform
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

import jetassay
from jetassay.backbones.card import Card
from jetassay.backbones.protocol import Backbone
from jetassay.backbones.trust import trusting_files
from jetassay.embeddings.batching import Batching
from jetassay.embeddings.extraction import embed_together
from jetassay.embeddings.heap import keep_freed
from jetassay.embeddings.pools import EmbeddingUnit, Work
from jetassay.embeddings.store import DamagedShardError, EmbeddingStore, Shard
from jetassay.embeddings.tables import tabulate
from jetassay.embeddings.units import EXTRACTION_VERSION, EmbeddingRecipe, Unit, embedding_recipe
from jetassay.errors import ClusterError, DataError
from jetassay.progress import Reporter

_SILENT = Reporter(quiet=True, console=Console(quiet=True))
_LAST_NUMBER = re.compile(r"(\d+)\D*$")
_loaded: dict[object, Backbone] = {}
_loading = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a worker makes a backbone of.

    weights: the file on the driver's machine; where a worker does not see it, it looks where the card says
    """

    card: Card
    dtype: str
    device: str
    weights: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Units of one range of entries.

    units:    of tables and of embeddings
    sources:  for each unit its backbone; None for a table of jets
    store:    the folder of shards
    trusted:  sha256 of the files of Python that the user lets run
    versions: the driver's
    """

    units: tuple[Unit[Any], ...]
    sources: tuple[Source | None, ...]
    store: Path
    trusted: frozenset[str]
    versions: Mapping[str, str]


@dataclass(slots=True)
class Outcome:
    """What became of a job.

    seconds:    wall time of each unit that is in the store now, by its position; None where it was there already
    not_finite: positions of units whose backbone gives NaN or infinity, and what to say
    unreadable: what is wrong with the jets; empty where nothing is
    """

    seconds: dict[int, float | None] = field(default_factory=dict)
    not_finite: dict[int, str] = field(default_factory=dict)
    unreadable: str = ""


def versions() -> dict[str, str]:
    """What must be equal on both sides, or bits may differ."""
    import torch

    return {
        "jetassay": f"{jetassay.__version__} (extraction {EXTRACTION_VERSION})",
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "python": ".".join(platform.python_version_tuple()[:2]),
    }


def compute(job: Job) -> Outcome:
    """Do a job. Jets that cannot be used are an answer and no error, for they come again on every worker.

    Raises `ClusterError` where this worker cannot give the driver's bits, `WeightsError` and the like where it cannot
    load a backbone, and `StoreError` where it cannot write.
    """
    require_versions(job.versions)
    keep_freed()
    outcome, store = Outcome(), EmbeddingStore(job.store)
    missing = [position for position, unit in enumerate(job.units) if not _holds(store, unit)]
    outcome.seconds = dict.fromkeys(each for each in range(len(job.units)) if each not in missing)
    with trusting_files(job.trusted):
        sources = {position: job.sources[position] for position in missing}
        backbones = {position: _backbone(each) for position, each in sources.items() if each is not None}
    for position, backbone in backbones.items():
        _require_recipe(backbone, job.units[position].recipe)

    def finished(unit: Unit[Any], shard: Shard) -> None:
        store.write(unit, shard)
        outcome.seconds[job.units.index(unit)] = shard.facts["cost"]["seconds"]

    stop = _stop_if_cancelled()
    works = {
        position: Work(backbone=backbone, units=[job.units[position]], finished=finished, advance=stop)
        for position, backbone in backbones.items()
    }
    try:
        for position in missing:
            if job.sources[position] is None:
                finished(job.units[position], tabulate(job.units[position]))
        failed = embed_together(list(works.values()), threads=_threads()) if works else {}
    except DataError as error:
        outcome.unreadable = str(error)
        return outcome
    outcome.not_finite = {position: str(failed[work]) for position, work in works.items() if work in failed}
    return outcome


def require_versions(driver: Mapping[str, str]) -> None:
    """Raises `ClusterError` naming both sides where this process has other versions than the driver."""
    here = versions()
    different = [f"{name} {here[name]} instead of {wanted}" for name, wanted in driver.items() if here[name] != wanted]
    if different:
        raise ClusterError(
            f"the worker on {platform.node()} has {', '.join(different)} as on the driver: the bits could differ. "
            "Give workers and driver the same environment"
        )


def require_package(client: Any, address: str) -> None:
    """Raises `ClusterError` naming who cannot import jetassay: a worker would die of its first job without a word."""

    def imports() -> bool:  # within, so that it travels by value, and no import is needed to read it
        try:
            import jetassay  # noqa: F401
        except ImportError:
            return False
        return True

    lacking = [f"the worker {where}" for where, found in client.run(imports).items() if not found]
    if not client.run_on_scheduler(imports):
        lacking.append("the scheduler")
    if lacking:
        raise ClusterError(
            f"{address}: {', '.join(lacking)} cannot import jetassay. "
            "Give scheduler, workers and driver the same environment"
        )


def forget_backbones() -> None:
    """Free what a worker that lives on has loaded."""
    with _loading:
        _loaded.clear()


def device_of(device: str, *, worker: object, gpus: int) -> str:
    """The device of a worker: plain "cuda" is a GPU by the last number in its name, anything else is as it says."""
    if device != "cuda" or not gpus:
        return device
    number = _LAST_NUMBER.search(str(worker))
    return f"cuda:{int(number[1]) % gpus if number else 0}"


def _backbone(source: Source) -> Backbone:
    """Loaded once in a process, whatever the number of threads and jobs."""
    import torch
    from distributed import get_worker

    from jetassay.backbones.loading import load_backbone

    device = device_of(source.device, worker=get_worker().name, gpus=torch.cuda.device_count())
    key = source.card.reference, source.card.digest(), source.dtype, device, source.weights
    with _loading:
        if key not in _loaded:
            card = _card_here(source.card)
            weights = source.weights if source.weights is not None and source.weights.is_file() else None
            _loaded[key] = load_backbone(card, weights=weights, device=device, dtype=source.dtype, reporter=_SILENT)
        return _loaded[key]


def _card_here(card: Card) -> Card:
    """The card itself where its folder is seen here, else that of the same name in this machine's own folders."""
    from jetassay.backbones.catalogue import backbone_cards, find_card

    if card.folder is None or card.folder.is_dir():
        return card
    return find_card(backbone_cards(), card.reference)


def _require_recipe(backbone: Backbone, wanted: EmbeddingRecipe) -> None:
    """Raises `ClusterError` where this backbone is not the driver's: card, weights, features, code."""
    sizes = Batching(entries_per_pool=wanted.entries_per_pool, token_budget=wanted.token_budget)
    found = embedding_recipe(backbone, feature_set=backbone.feature_set, batching=sizes)
    if found != replace(wanted, perturbation=None):
        different = [
            name for name in ("card", "weights", "feature_set", "dtype", "code") if _differs(name, found, wanted)
        ]
        raise ClusterError(
            f"the worker on {platform.node()} makes another backbone of '{backbone.card.reference}' than the driver "
            f"({', '.join(different)}); give it the same cards, weights and code"
        )


def _differs(name: str, one: EmbeddingRecipe, other: EmbeddingRecipe) -> bool:
    return bool(getattr(one, name) != getattr(other, name))


def _holds(store: EmbeddingStore, unit: Unit[Any] | EmbeddingUnit) -> bool:
    """Another try, or another run over the same cache, may have written it meanwhile."""
    try:
        return store.holds(unit)
    except DamagedShardError:
        return False


def _threads() -> int:
    """All of the worker's: its jobs take turns, for `one_thread_per_operator` lets one of them in at a time."""
    from distributed import get_worker

    return int(get_worker().state.nthreads)


class _CancelledError(Exception):
    """Nobody waits for this job any more."""


def _stop_if_cancelled() -> Callable[[int], None]:
    """Called after every batch: Dask cannot stop a thread, so the job looks by itself."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def check(_: int) -> None:
        task = worker.state.tasks.get(key)
        if task is None or task.state == "cancelled":
            raise _CancelledError

    return check
