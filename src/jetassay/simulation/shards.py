"""One shard: one file of jets of one class, made from its own seeds in one process."""

import hashlib
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jetassay.errors import SimulationError
from jetassay.simulation import columns, truth
from jetassay.simulation.clustering import JETCLASS2_SELECTION, JETCLASS_SELECTION, find_jets, substructure
from jetassay.simulation.detector import detect
from jetassay.simulation.generator import EventRecord, Generator
from jetassay.simulation.processes import MULTIJET_PROCESS, PROCESSES, RESONANCE_PROCESS
from jetassay.simulation.resonance_labels import NO_LABEL, label_quarks, label_resonances
from jetassay.simulation.resonances import ResonanceSource
from jetassay.simulation.tracks import DetectorMode
from jetassay.simulation.writing import JetTable, join, read_facts, write

EVENTS_PER_BATCH = 50
"""Part of what the bits depend on: decays that alternate do so from batch to batch."""
_MAX_PYTHIA_SEED = 900_000_000
_BATCHES_WITHOUT_JETS = 200
_SEEDS_PER_SHARD = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a worker is asked to do: `jets` jets of class `name` into file number `file` at `path`."""

    kind: str
    name: str
    file: int
    jets: int
    seed: int
    mode: DetectorMode
    path: str
    digest: str
    veto: bool = True


@dataclass(frozen=True, slots=True)
class Seeds:
    """Independent streams for the generator, the detector and the sampling of hard processes."""

    pythia: int
    detector: np.random.SeedSequence
    hard_process: np.random.SeedSequence


def derive_seeds(task: Task) -> Seeds:
    """From the recipe's seed, the class and the number of the file, and nothing else."""
    who = int.from_bytes(hashlib.sha256(f"{task.kind}/{task.name}".encode()).digest()[:8], "little")
    generator, detector, hard_process = np.random.SeedSequence([task.seed, who, task.file]).spawn(_SEEDS_PER_SHARD)
    state = int(generator.generate_state(1, np.uint64)[0])
    return Seeds(1 + state % _MAX_PYTHIA_SEED, detector, hard_process)


def make_shard(task: Task, *, advance: Callable[[int], None]) -> dict[str, Any]:
    """Generate, detect, cluster, label and write; `advance` hears of the jets of each batch.

    Gives the file's counts: events drawn, events showered, jets, and seconds. Raises `SimulationError` where a
    process gives no jets.
    """
    start, cpu_start = time.perf_counter(), time.process_time()
    source = _batches(task)
    tables: list[JetTable] = []
    found = idle = 0
    counts: dict[str, Any] = {}
    while found < task.jets:
        table, counts = next(source)
        idle = 0 if table is not None else idle + 1
        if idle > _BATCHES_WITHOUT_JETS:
            raise SimulationError(f"{task.name}: no jet in {idle * EVENTS_PER_BATCH} events.")
        if table is not None:
            tables.append(table)
            advance(min(len(table), task.jets - found))
            found += len(table)
    counts = {
        **counts,
        "jets": task.jets,
        "seconds": round(time.perf_counter() - start, 2),
        "cpu_seconds": round(time.process_time() - cpu_start, 2),
    }
    there = counts_of(task)
    if there is not None:
        return there
    write(Path(task.path), join(tables).head(task.jets), facts={**asdict(task), "path": None, "counts": counts})
    return counts


def counts_of(task: Task) -> dict[str, Any] | None:
    """The counts of the file where it is there already: another process may have made it meanwhile.

    It is left alone then, since that process may be reading it. None where there is none, or one of another recipe.
    """
    path = Path(task.path)
    try:
        facts = read_facts(path) if path.exists() else {}
    except SimulationError:
        return None
    return facts["counts"] if facts.get("digest") == task.digest else None


def _batches(task: Task) -> Iterator[tuple[JetTable | None, dict[str, Any]]]:
    """Jets of each batch (None for none), and the generator's counts so far."""
    seeds = derive_seeds(task)
    generator = _generator(task, seeds)
    rng = np.random.default_rng(seeds.detector)
    jets_of = _jetclass_jets if task.kind == "jetclass" else _jetclass2_jets
    while True:
        record = generator.next_batch(EVENTS_PER_BATCH)
        table = jets_of(record, rng, task)
        yield table, {"events_drawn": generator.tried, "events_showered": generator.events}


def _generator(task: Task, seeds: Seeds) -> Generator:
    if task.kind == "jetclass":
        return Generator(PROCESSES[task.name], seed=seeds.pythia, veto=task.veto)
    if task.name == "QCD":
        return Generator(MULTIJET_PROCESS, seed=seeds.pythia)
    source = ResonanceSource("Res2P" if task.name == "Res2P" else "Res34P", seed=seeds.hard_process)
    return Generator(RESONANCE_PROCESS, seed=seeds.pythia, source=source)


def _jetclass_jets(record: EventRecord, rng: np.random.Generator, task: Task) -> JetTable | None:
    candidates = detect(record, rng, mode=task.mode)
    jets = find_jets(candidates, events=record.events, selection=JETCLASS_SELECTION)
    code, resonance = truth.match(record, jets)
    kept = truth.of_class(code, task.name)
    if not kept.any():
        return None
    jets = jets.select(kept)
    return columns.jetclass_table(
        record,
        candidates,
        jets,
        substructure=substructure(candidates, jets),
        truth=(code[kept], resonance[kept]),
        name=task.name,
    )


def _jetclass2_jets(record: EventRecord, rng: np.random.Generator, task: Task) -> JetTable | None:
    candidates = detect(record, rng, mode=task.mode)
    jets = find_jets(candidates, events=record.events, selection=JETCLASS2_SELECTION)
    label = label_quarks if task.name == "QCD" else label_resonances
    labels = label(record, jets)
    known = np.array([each.index != NO_LABEL for each in labels], dtype=bool)
    jets = jets.select(known)
    mass, subjettiness = substructure(candidates, jets)
    kept = (mass > JETCLASS2_SELECTION.soft_drop_mass_min) & (mass < JETCLASS2_SELECTION.soft_drop_mass_max)
    if not kept.any():
        return None
    return columns.jetclass2_table(
        record,
        candidates,
        jets.select(kept),
        substructure=(mass[kept], subjettiness[kept]),
        labels=[each for each, keep in zip(itertools.compress(labels, known), kept, strict=True) if keep],
    )
