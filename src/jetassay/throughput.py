"""How fast: run `benchmarks/` with pytest-benchmark, keep its JSON, track it, and show it as one table.

The benchmarks run in a process of their own, so that nothing done before weighs on them. A benchmark says in its
`extra_info` what it is of: `backbone` (none for a stage alone), `batch_size`, `jets` of one round, and `variant` where
something else differs, such as how jets are batched. `jets_per_s` follows from the median over rounds.
"""

import json
import math
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jetassay.errors import ConfigError, DataError, InterruptedRunError, JetAssayError
from jetassay.places import project_root, workspace
from jetassay.progress import Reporter

if TYPE_CHECKING:
    from jetassay.backbones.card import Card

JETS_PER_CLASS = 60
SEED = 86_421
"""Of the sample that everything is timed on: always the same jets, which no suite and no training uses."""

_LONGEST_WAIT_S = 30.0  # for the benchmarks to write down what is finished, once told to stop
_KEPT_LINES = 15
_OPTIONS = (
    # in place of the project's own options, which skip benchmarks
    *("-o", "addopts=", "-o", "python_functions=bench_*", "--strict-markers", "--strict-config"),
    *("-p", "no:cacheprovider", "-p", "no:xdist", "--benchmark-only", "--benchmark-quiet"),
    *("--verbose", "--no-header", "-rfE", "--tb=short", "--color=no"),
)


def run_benchmarks(*, reporter: Reporter) -> str:
    """Run every benchmark on one thread, save and track the figures, and give them as text.

    Backbones that cannot be loaded are left out, with the reason in JSON and text. Raises `JetAssayError` naming the
    benchmarks that failed, after those that did not were tracked; `InterruptedRunError` on Ctrl-C, after which the JSON
    of what was finished is kept; `ConfigError` where there is no `benchmarks/` or no pytest-benchmark.
    """
    from jetassay.tracking.lifecycle import stoppable
    from jetassay.tracking.throughput import record_throughput

    folder = benchmarks_folder()
    path = new_path()
    with stoppable():
        benchmark_files(reporter=reporter)
        warn_if_busy(reporter)
        _run_pytest(folder, path, reporter)
        session = read_session(path)
        recorded = record_throughput(path, reporter=reporter)
    where = {"json": str(path), "tracking": recorded.store, "side by side": recorded.compare}
    text = f"{render(session)}\n\n{aligned(list(where.items()))}"
    if failed := session.get("failed"):
        reporter.line(text)
        total = len(failed) + len(session["benchmarks"])
        which = "\n".join(f"  {name}: {reason}" for name, reason in failed.items())
        raise JetAssayError(
            f"{len(failed)} of {total} benchmarks failed; the others are in {path} and tracked\n{which}"
        )
    return text


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


def read_session(path: Path) -> dict[str, Any]:
    """The JSON of pytest-benchmark with our `extra_info`. Raises `DataError` where it is missing or something else."""
    try:
        session: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for each in session["benchmarks"]:
            each["name"], float(each["extra_info"]["jets_per_s"]), float(each["stats"]["median"]), each["stats"]["iqr"]
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read: {error.strerror}; no benchmark was finished, or none saved"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: not written by `make throughput` ({error!r}); remove it and run that again"
        ) from error
    return session


def render(session: Mapping[str, Any]) -> str:
    """A session as text: backbones by batch size, the stages, what was not measured, and on which machine."""
    forward = [each for each in session["benchmarks"] if each["extra_info"].get("backbone")]
    stages = [each for each in session["benchmarks"] if not each["extra_info"].get("backbone")]
    blocks = []
    if forward:
        how = "; ".join(dict.fromkeys(_how(each["extra_info"]) for each in forward))
        blocks.append(f"jets/s by jets in a batch ({how})\n{_backbone_table(forward)}")
    if stages:
        rows = [(each["name"].removeprefix("bench_"), _rate(each), _amount(each["extra_info"])) for each in stages]
        blocks.append(f"jets/s of the stages alone\n{aligned(rows, right=(1,))}")
    if session.get("skipped"):
        blocks.append(f"not measured\n{aligned(list(session['skipped'].items()))}")
    blocks.append(f"Medians over rounds, ± half of the interquartile range.\n{describe_machine(session)}")
    return "\n\n".join(blocks)


def _backbone_table(benchmarks: Iterable[Mapping[str, Any]]) -> str:
    """One row a backbone, one column a batch size and variant."""
    cells: dict[str, dict[tuple[float, str], str]] = {}
    for each in benchmarks:
        about = each["extra_info"]
        column = float(about.get("batch_size") or math.inf), str(about.get("variant") or "")
        cells.setdefault(about["backbone"], {})[column] = _rate(each)
    columns = sorted({column for row in cells.values() for column in row})
    heads = [f"{'' if math.isinf(size) else int(size)} {variant}".strip() for size, variant in columns]
    rows = [(name, *(row.get(column, "-") for column in columns)) for name, row in cells.items()]
    return aligned([("", *heads), *rows], right=range(1, len(columns) + 1))


def _rate(benchmark: Mapping[str, Any]) -> str:
    """Such as `1,234 ±2%`: three digits at least, and how far the middle half of the rounds spreads."""
    rate, stats = float(benchmark["extra_info"]["jets_per_s"]), benchmark["stats"]
    digits = max(0, 2 - math.floor(math.log10(rate))) if rate > 0 else 0
    return f"{rate:,.{digits}f} ±{50 * float(stats['iqr']) / float(stats['median']):.0f}%"


def _how(about: Mapping[str, Any]) -> str:
    return f"{about.get('threads', '?')} thread, {about.get('dtype', '?')}, {about.get('device', '?')}"


def _amount(about: Mapping[str, Any]) -> str:
    words = [f"{about['jets']:,} jets" if "jets" in about else "", str(about.get("note", ""))]
    return ", ".join(word for word in words if word)


def describe_machine(session: Mapping[str, Any]) -> str:
    """Processor, load, versions and commit of a session, as far as it says."""
    machine = session.get("machine_info") or {}
    commit = session.get("commit_info") or {}
    loads = " and ".join(f"{machine[key]:.1f} {when}" for key, when in _LOADS.items() if key in machine)
    facts = [
        (machine.get("cpu") or {}).get("brand_raw"),
        f"{machine['usable_cores']} cores" if "usable_cores" in machine else None,
        f"load average {loads}" if loads else None,
        f"torch {machine['torch']}" if "torch" in machine else None,
        f"commit {commit['id'][:10]}{' and changes' if commit.get('dirty') else ''}" if commit.get("id") else None,
        str(session.get("datetime", ""))[:19] + " UTC" if session.get("datetime") else None,
    ]
    return "; ".join(fact for fact in facts if fact)


_LOADS = {"load_before": "before", "load_after": "after"}


def aligned(rows: Sequence[Sequence[str]], *, right: Iterable[int] = ()) -> str:
    """Rows as text: columns two spaces apart; those in `right` end together, the others begin together."""
    flush = frozenset(right)
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.rjust(width) if k in flush else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)


def benchmarks_folder() -> Path:
    """Where benchmarks are. Raises `ConfigError` where they or pytest-benchmark are missing."""
    folder = project_root() / "benchmarks"
    if not folder.is_dir():
        raise ConfigError(f"{folder}: there is no such folder; benchmarks come with a checkout, not with the package")
    if find_spec("pytest_benchmark") is None:
        raise ConfigError("benchmarks need pytest-benchmark, not installed here: pip install 'jetassay[test]'")
    return folder


def new_path(kind: str = "") -> Path:
    """A file for what will be measured, named by the hour and the kind. Raises `ConfigError` where none can be."""
    name = f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}{kind and f'-{kind}'}.json"
    path = workspace() / "reports" / "throughput" / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{path.parent}: cannot be made: {error.strerror}; set JETASSAY_WORKSPACE") from error
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
    run_measuring([*command, *_OPTIONS, "--benchmark-json", str(path)], path, reporter)


def run_measuring(command: Sequence[str], path: Path, reporter: Reporter, *, folder: Path | None = None) -> None:
    """Run a command in `folder`, which saves what it measures to `path`; what it says goes to the reporter.

    It is in a session of its own, so that Ctrl-C reaches it once, through here, and it can save what is done.
    Raises `JetAssayError` where nothing is saved, `InterruptedRunError` on Ctrl-C.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
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
            kept = f"what was finished is in {path}" if path.exists() else "nothing was finished"
            raise InterruptedRunError(f"benchmarks stopped; {kept}. Nothing was tracked.") from stop
        finally:
            _stop(process)
    if not path.exists():
        raise JetAssayError("\n".join([f"no benchmark was finished; they ended with exit code {code}:", *said]))


def _stop(process: "subprocess.Popen[str]") -> None:
    """Have a running process save and end, or end it."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=_LONGEST_WAIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
