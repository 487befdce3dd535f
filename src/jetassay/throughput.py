"""How fast: run `benchmarks/`, keep its JSON, draw it as a page, track it, and show it as tables.

Everything is measured in processes of their own, so that nothing done before weighs on it. A benchmark says in its
`extra_info` what it is of: `backbone` (none for a stage alone), `batch_size`, `jets` of one round, and `variant` where
something else differs, such as how jets are batched. `jets_per_s` follows from the median over rounds.
"""

import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Container, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from jetassay.errors import ConfigError, DataError, InterruptedRunError, JetAssayError
from jetassay.gates import Judgement, judge, read_gates, render_judgement
from jetassay.measurements import Session, aligned, comparisons_of, describe_machine, merge, read_session
from jetassay.places import project_root, workspace
from jetassay.progress import Reporter
from jetassay.speed_text import render_session
from jetassay.whole_files import whole_file

if TYPE_CHECKING:
    from jetassay.backbones.card import Card

JETS_PER_CLASS = 60
SEED = 86_421
"""Of the sample that everything is timed on: always the same jets, which no suite and no training uses."""

_LONGEST_WAIT_S = 30.0  # for the benchmarks to write down what is finished, once told to stop
_KEPT_LINES = 15
_FAILED_ONES = 1  # exit code of pytest where single benchmarks failed, which its JSON names
_ALL = "throughput.json"
_OPTIONS = (
    # in place of the project's own options, which skip benchmarks
    *("-o", "addopts=", "-o", "python_functions=bench_*", "--strict-markers", "--strict-config"),
    *("-p", "no:cacheprovider", "-p", "no:xdist", "--benchmark-only", "--benchmark-quiet"),
    *("--verbose", "--no-header", "-rfE", "--tb=short", "--color=no"),
)


PROGRAMS = MappingProxyType(
    {
        "side-by-side": "benchmarks.side_by_side",
        "architectures": "benchmarks.architectures",
        "scaling": "benchmarks.scaling",
        "memory": "benchmarks.memory",
        "ablation": "benchmarks.ablation",
        "anatomy": "benchmarks.anatomy",
        "data-path": "benchmarks.data_path",
    }
)
"""What is measured beside the pytest-benchmark files: `python -m MODULE FILE.json`, each in a process of its own."""

GATED = "side-by-side"
"""The program that measures what gates are of."""


def run_benchmarks(*, reporter: Reporter, gates_only: bool = False) -> tuple[str, Judgement]:
    """Measure everything, or what has gates alone; save it as JSON and as a page, track it, and give it as text.

    Whatever fails on the way, what was measured is kept: each part is saved as soon as it is done, and all that there
    are become one JSON file, a page and tracked runs. Backbones that cannot be loaded are left out, with the reason in
    JSON and text. Raises `JetAssayError` naming what failed, once the rest is done; `InterruptedRunError` on Ctrl-C;
    `ConfigError` where there is no `benchmarks/`, pytest-benchmark or weaver-core.
    """
    from jetassay.tracking.stopping import stoppable

    source = benchmarks_folder()
    gates, folder = read_gates(source / "gates.toml"), new_folder("gates" if gates_only else "")
    with stoppable(lambda: f"What was measured is in {folder}."):
        benchmark_files(reporter=reporter)
        warn_if_busy(reporter)
        failed = {} if gates_only else _attempt("pytest-benchmark", source, folder, reporter)
        for name in [GATED] if gates_only else PROGRAMS:
            failed |= _attempt(name, source, folder, reporter)
        session = _gather(folder, failed)
        judgement = judge(comparisons_of(session), gates)
        where, failed = _show(session, judgement, folder, reporter)
    parts = [] if gates_only else [render_session(session)]
    parts += [f"{render_judgement(judgement)}\n{describe_machine(session)}"]
    text = "\n\n".join([*parts, aligned(list(where.items()))])
    if failed := {**session["failed"], **failed}:
        reporter.line(text)
        which = "\n".join(f"  {name}: {reason}" for name, reason in failed.items())
        kept = f"in {folder}{' and tracked' if 'tracking' in where else ''}"
        raise JetAssayError(f"{len(failed)} failed; what was measured is {kept}\n{which}")
    return text, judgement


def _show(
    session: Session, judgement: Judgement, folder: Path, reporter: Reporter
) -> tuple[dict[str, str], dict[str, str]]:
    """Draw the page and track the run, each whatever becomes of the other: where they are, and what failed and why."""
    from jetassay.report.gaps import Gap, attempted
    from jetassay.speed_page import write_speed_page
    from jetassay.tracking.throughput import record_throughput

    where, failed = {"json": str(folder / _ALL)}, {}
    page = attempted(partial(write_speed_page, session, judgement, folder=folder), "page")
    attached = []
    if isinstance(page, Gap):
        failed["page"] = page.why
    else:
        where["page"], attached = str(page.path), [page.path]
        failed |= {f"page, {k + 1}": gap for k, gap in enumerate(page.gaps)}
    recorded = attempted(partial(record_throughput, folder / _ALL, attached=attached, reporter=reporter), "tracking")
    if isinstance(recorded, Gap):
        failed["tracking"] = recorded.why
    else:
        where |= {"tracking": recorded.store, "side by side": recorded.compare}
    return where, failed


def _attempt(name: str, source: Path, folder: Path, reporter: Reporter) -> dict[str, str]:
    """Measure one part, saving to `folder`; gives its name and the reason where not all of it could be measured."""
    path = folder / f"{name}.json"
    reporter.line(f"measuring: {name}")
    try:
        if name in PROGRAMS:
            run_measuring([sys.executable, "-m", PROGRAMS[name], str(path)], path, reporter, folder=source.parent)
        else:
            _run_pytest(source, path, reporter)
    except InterruptedRunError:
        raise
    except JetAssayError as error:
        return {name: str(error)}
    return {}


def _gather(folder: Path, failed: Mapping[str, str]) -> Session:
    """All that was measured as one, in the order of measurement; saved beside the parts.

    A part that cannot be read stays where it is and counts as failed. Raises `JetAssayError` where there is none else.
    """
    sessions, failed = [], dict(failed)
    for name in ("pytest-benchmark", *PROGRAMS):
        if (path := folder / f"{name}.json").exists():
            try:
                sessions.append(read_session(path))
            except DataError as error:
                failed[name] = str(error)
    if not sessions:
        raise JetAssayError("\n".join(f"{name}: {reason}" for name, reason in failed.items()))
    session = merge(sessions)
    session["failed"] |= failed
    with whole_file(folder / _ALL) as path:
        path.write_text(json.dumps(session, indent=1), encoding="utf-8")
    return session


def benchmark_files(*, reporter: Reporter) -> list[Path]:
    """The jets that everything is timed on: a small sample of all classes, simulated once and kept in the cache."""
    from jetassay.jets.classes import CLASS_NAMES
    from jetassay.simulation.recipe import Recipe, default_output
    from jetassay.simulation.sample import simulate

    recipe = Recipe(classes=CLASS_NAMES, jets=JETS_PER_CLASS, files=1, seed=SEED)
    return simulate(recipe, output=default_output(recipe), reporter=reporter)


def measurable_cards() -> "tuple[dict[str, Card], dict[str, str]]":
    """Cards of the backbones that are here, and why each of the others is not: broken, or its weights are missing."""
    from jetassay.backbones.catalogue import backbone_cards
    from jetassay.backbones.weights import weights_state
    from jetassay.registry import Broken

    cards, reasons = {}, {}
    for name, card in backbone_cards().survey().items():
        if isinstance(card, Broken):
            reasons[name] = f"broken: {card.reason}"
        elif weights_state(card) == "weights missing":
            reasons[name] = f"weights missing; official ones come with: jetassay fetch {name}"
        else:
            cards[name] = card
    return cards, reasons


def benchmarks_folder() -> Path:
    """Where benchmarks are. Raises `ConfigError` where they or pytest-benchmark are missing."""
    folder = project_root() / "benchmarks"
    if not folder.is_dir():
        raise ConfigError(f"{folder}: there is no such folder; benchmarks come with a checkout, not with the package")
    for module, package in {"pytest_benchmark": "pytest-benchmark", "weaver": "weaver-core"}.items():
        if find_spec(module) is None:
            raise ConfigError(f"benchmarks need {package}, not installed here: pip install 'jetassay[test]'")
    return folder


def runs_folder() -> Path:
    """Where every run has a folder of its own, and the baseline lies."""
    return workspace() / "reports" / "throughput"


def new_folder(kind: str = "") -> Path:
    """A folder for what will be measured, named by the hour and the kind. Raises `ConfigError` where none can be."""
    path = runs_folder() / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}{kind and f'-{kind}'}"
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be made: {error.strerror}; set JETASSAY_WORKSPACE") from error
    return path


def warn_if_busy(reporter: Reporter) -> None:
    """Say so where others are using the machine."""
    from jetassay.embeddings.threads import usable_cores

    load = os.getloadavg()[0]
    if load > usable_cores() / 2:
        reporter.warning(f"the load average is {load:.1f} on {usable_cores()} cores: others will slow the benchmarks")


def _run_pytest(folder: Path, path: Path, reporter: Reporter) -> None:
    """Run the benchmarks of `folder`, saving to `path`; those that fail are in the JSON."""
    root = folder.parent
    command = [sys.executable, "-m", "pytest", str(folder), "-c", str(root / "pyproject.toml"), "--rootdir", str(root)]
    command = [*command, *_OPTIONS, "--benchmark-json", str(path)]
    run_measuring(command, path, reporter, ends=(0, _FAILED_ONES))


def run_measuring(
    command: Sequence[str],
    path: Path,
    reporter: Reporter,
    *,
    folder: Path | None = None,
    ends: Container[int] = (0,),
) -> None:
    """Run a command in `folder`, which saves what it measures to `path`; what it says goes to the reporter.

    It is in a session of its own, so that Ctrl-C reaches it once, through here, and it can save what is done.
    Raises `JetAssayError` where nothing is saved or its exit code is none of `ends`, `InterruptedRunError` on Ctrl-C.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    said: deque[str] = deque(maxlen=_KEPT_LINES)
    with subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**environment, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                said.append(line.rstrip())
                reporter.line(said[-1])
            code = process.wait()
        except KeyboardInterrupt as stop:
            _stop(process)
            finished = any(path.parent.glob("*.json"))  # this part or one before
            kept = f"what was finished is in {path.parent}" if finished else "nothing was finished"
            raise InterruptedRunError(f"benchmarks stopped; {kept}. Nothing was tracked.") from stop
        finally:
            _stop(process)
    if code not in ends or not path.exists():
        done = "not all was measured" if path.exists() else "no benchmark was finished"
        raise JetAssayError("\n".join([f"{done}; exit code {code}:", *said]))


def _stop(process: "subprocess.Popen[str]") -> None:
    """Have a running process save and end, or end it."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=_LONGEST_WAIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
