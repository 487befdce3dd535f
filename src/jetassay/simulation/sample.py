"""Simulate a sample: a folder of ROOT files, made in parallel, resumed where it stopped, the same every time.

A shard is one file of one class. Its seeds follow from the recipe's seed, the class and the file's number, so the
arrays are equal to the bit for any number of processes and in any order (with the same versions of Pythia, FastJet
and numpy on the same kind of processor). The bytes of a file are not: ROOT files hold the time of writing and a
random identifier; compare with `writing.content_digest`.
"""

import json
import os
import time
from collections.abc import Container, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jetassay.errors import ConfigError, InterruptedRunError, SimulationError
from jetassay.jets.digests import known_files
from jetassay.progress import Reporter, time_text
from jetassay.simulation.recipe import Recipe, file_name, generator_versions
from jetassay.simulation.workers import Workers
from jetassay.whole_files import remove_leftovers, whole_file

RECIPE_FILE = "recipe.json"


def simulate(
    recipe: Recipe,
    *,
    output: Path,
    workers: int | None = None,
    reporter: Reporter | None = None,
    force: bool = False,
    only: Container[str] | None = None,
) -> list[Path]:
    """Write `output/CLASS_000.root` and so on, and `output/recipe.json`; gives the ROOT files in order.

    workers: processes, one per core if None
    force: replace files of another recipe, which are an error otherwise
    only: names of files; make and give no others of the recipe

    Files of the same recipe are kept, damaged ones are made again. Raises `SimulationError` where files of another
    recipe are in the way, the generators are missing or fail; `InterruptedRunError` on Ctrl-C, after which whole files
    are kept.
    """
    if workers is not None and workers < 1:
        raise ConfigError(f"simulation: {workers} workers; give at least 1.")
    reporter = reporter or Reporter()
    digest = recipe.digest()
    tasks = _tasks(recipe, output, digest)
    paths = [Path(task["path"]) for task in tasks]
    _refuse_other_recipe(output, digest, {path.name for path in paths}, force=force)
    kept = _kept(paths, digest, force=force, reporter=reporter)
    wanted = [path for path in paths if only is None or path.name in only]
    missing = [task for task in tasks if (path := Path(task["path"])) in wanted and path not in kept]
    there, began = len(wanted) - len(missing), time.perf_counter()
    if missing:
        _make_folder(output)
        _run(missing, kept, workers=workers or available_cores(), reporter=reporter, of=len(tasks))
    made = f"{len(missing)} files simulated in {time_text(time.perf_counter() - began)}, " if missing else ""
    reporter.line(f"jets: {made}{there} of {len(wanted)} files were there already")
    _note_recipe(output, recipe, digest, {path.name: kept[path] for path in paths if path in kept})
    return wanted


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _tasks(recipe: Recipe, output: Path, digest: str) -> list[dict[str, Any]]:
    """As `shards.Task`, which is not imported here because the generators would come with it."""
    return [
        {
            "kind": recipe.kind,
            "name": name,
            "file": file,
            "jets": jets,
            "seed": recipe.seed,
            "mode": recipe.mode,
            "path": str(output / file_name(name, file)),
            "digest": digest,
        }
        for name, file, jets in recipe.shards()
    ]


def _refuse_other_recipe(output: Path, digest: str, ours: AbstractSet[str], *, force: bool) -> None:
    """Files of another recipe would be read together with ours; with `force` those it lists are removed."""
    note = output / RECIPE_FILE
    if not note.exists():
        return
    try:
        content = json.loads(note.read_text(encoding="utf-8"))
        other, files = content["digest"], set(content["files"])
    except (OSError, ValueError, KeyError, TypeError):
        other, files = "unreadable", set()
    if other == digest:
        return
    if not force:
        raise SimulationError(
            f"{output} holds jets of another recipe or another version (see {RECIPE_FILE}). Choose another folder, "
            "remove this one, or force its replacement."
        )
    for name in files - ours:
        (output / Path(name).name).unlink(missing_ok=True)
    note.unlink()


def _kept(paths: Sequence[Path], digest: str, *, force: bool, reporter: Reporter) -> dict[Path, dict[str, Any]]:
    """The counts of each file of this recipe that is there; one of ours that is damaged is removed, with a warning.

    Whether a file is damaged is looked at where it was not read before or was written since. Raises `SimulationError`
    for another file in the way.
    """
    from jetassay.simulation.writing import check_content, read_facts  # uproot is slow to import

    noted = _noted_files(paths[0].parent, digest)
    there = [path for path in paths if path.exists()]
    known, kept = known_files(there), {}
    for path in there:
        facts: dict[str, Any] = {}
        try:
            facts = read_facts(path)
            if facts["digest"] == digest and path not in known:
                check_content(path, facts)
        except SimulationError as error:
            if isinstance(error.__cause__, FileNotFoundError):  # another run has removed it meanwhile
                continue
            if isinstance(error.__cause__, OSError) and error.__cause__.errno is not None:
                raise  # the system cannot read it now, which says nothing of what is in it
            if facts or path.name in noted:
                _discard(path, error, reporter)
            elif not force:
                raise
            continue
        if facts["digest"] == digest:
            kept[path] = facts["counts"]
        elif not force:
            raise SimulationError(
                f"{path} was simulated with another recipe or another version. Choose another folder, remove the file, "
                "or force its replacement."
            )
    return kept


def _noted_files(output: Path, digest: str) -> AbstractSet[str]:
    """Names of the files that the folder's note lists as made by this recipe."""
    try:
        content = json.loads((output / RECIPE_FILE).read_text(encoding="utf-8"))
        return set(content["files"]) if content["digest"] == digest else frozenset()
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()


def _discard(path: Path, error: SimulationError, reporter: Reporter) -> None:
    reporter.warning(f"{error}; it is not used, but simulated again")
    try:
        path.unlink(missing_ok=True)
    except OSError as failure:
        raise SimulationError(f"{path}: damaged, and cannot be removed: {failure.strerror}") from failure


def _make_folder(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SimulationError(f"The folder {output} cannot be used: {error}") from error
    remove_leftovers(output)


def _run(
    tasks: list[dict[str, Any]],
    counts: dict[Path, dict[str, Any]],
    *,
    workers: int,
    reporter: Reporter,
    of: int,
) -> None:
    """Make the missing files and add their counts."""
    folder = Path(tasks[0]["path"]).parent
    total = sum(task["jets"] for task in tasks)
    try:
        with reporter.bar("simulating", total) as bar, Workers(tasks, count=workers) as crew:
            for number, message in crew.messages():
                if "done" in message:
                    counts[Path(tasks[number]["path"])] = message["done"]
                else:
                    bar.advance(message["jets"])
    except KeyboardInterrupt as stop:
        raise InterruptedRunError(
            f"Simulation stopped; {len(counts)} of {of} files are whole and kept in {folder}. "
            "The same command goes on from there."
        ) from stop
    finally:
        remove_leftovers(folder)


def _note_recipe(output: Path, recipe: Recipe, digest: str, counts: Mapping[str, Mapping[str, Any]]) -> None:
    files = {
        name: {**each, "veto_fraction": round(1 - each["events_showered"] / max(each["events_drawn"], 1), 4)}
        for name, each in counts.items()
    }
    content = {"recipe": asdict(recipe), "digest": digest, "generators": generator_versions(), "files": files}
    text = json.dumps(content, indent=1) + "\n"
    note = output / RECIPE_FILE
    if note.exists() and note.read_text(encoding="utf-8") == text:
        return
    with whole_file(note) as partial:
        partial.write_text(text, encoding="utf-8")
