"""What `jetassay doctor` says: the environment, and which backbones and datasets are ready or what they need."""

import importlib.metadata
import os
import re
import shutil
import sys
import tempfile
import textwrap
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jetassay.errors import JetAssayError
from jetassay.places import cache_folder, workspace
from jetassay.registry import Broken

if TYPE_CHECKING:
    from jetassay.jets.catalogue import DatasetCard

Verdict = Literal["ok", "-", "bad"]
DEFAULT_SUITE = "default"
_MIN_FREE = 500_000_000  # bytes: jets, embeddings and runs of the default suite need about a third of it
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_SHOWN_PACKAGES = ("torch", "numpy", "mlflow", "awkward", "uproot", "scikit-learn", "pyarrow")
_REQUIREMENT = re.compile(r"""^([\w.-]+).*?(?:extra\s*==\s*['"]([\w-]+)['"])?\s*\)?$""")


@dataclass(frozen=True, slots=True)
class Finding:
    """One row. Verdict `-` is for what is missing but not needed by the default suite."""

    verdict: Verdict
    what: str
    text: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All rows."""

    findings: tuple[Finding, ...]

    @property
    def problems(self) -> tuple[Finding, ...]:
        """Whatever keeps the default suite from running."""
        return tuple(each for each in self.findings if each.verdict == "bad")

    def table(self, *, width: int) -> str:
        """One aligned table, long cells folded, and the verdict below it."""
        space = max(len(each.what) for each in self.findings)
        lines = []
        for each in self.findings:
            head = f"{each.verdict.ljust(4)} {each.what.ljust(space)}  "
            lines.append(
                textwrap.fill(
                    each.text,
                    max(width, len(head) + 30),
                    initial_indent=head,
                    subsequent_indent=" " * len(head),
                    break_long_words=False,
                    break_on_hyphens=False,
                )
            )
        found = len(self.problems)
        verdict = f"cannot run: {found} problem{'s' * (found > 1)} above, marked bad" if found else "can run"
        return "\n".join([*lines, f"the {DEFAULT_SUITE} suite {verdict}"])


def examine() -> Diagnosis:
    """Look at everything; nothing is written, fetched or changed."""
    return Diagnosis(
        (
            *_environment(),
            *_hardware(),
            *_disk(),
            _tracking(),
            *_backbones(),
            *_datasets(),
        )
    )


def _environment() -> Iterator[Finding]:
    from jetassay.tracking.provenance import version_facts

    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("ok" if sys.version_info >= (3, 11) else "bad", "python", f"{version}, {sys.executable}")
    versions = version_facts()
    shown = ", ".join(f"{name} {versions.get(name) or 'missing'}" for name in ("jetassay", *_SHOWN_PACKAGES))
    missing = _missing()
    lacking = missing.pop("", [])
    yield Finding("bad" if lacking else "ok", "packages", f"missing: {', '.join(lacking)}" if lacking else shown)
    for extra, names in missing.items():
        if names:
            yield Finding("-", f"extra {extra}", f"missing {', '.join(names)}: pip install 'jetassay[{extra}]'")
    complete = [extra for extra, names in missing.items() if not names]
    if complete:
        yield Finding("ok", "extras", ", ".join(complete))


def _missing() -> dict[str, list[str]]:
    """Packages that are not installed, by extra; "" for those that are always needed."""
    found: dict[str, list[str]] = {"": []}
    for line in importlib.metadata.requires("jetassay") or []:
        matched = _REQUIREMENT.match(line)
        assert matched is not None, line
        name, extra = matched[1], matched[2] or ""
        found.setdefault(extra, [])
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[extra].append(name)
    return found


def _hardware() -> Iterator[Finding]:
    from jetassay.embeddings.threads import usable_cores

    chosen = [f"{name}={os.environ[name]}" for name in _THREAD_VARIABLES if name in os.environ]
    yield Finding("ok", "cores", ", ".join([f"{usable_cores()} of {os.cpu_count()} usable", *chosen]))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            import torch
        except (ImportError, OSError) as error:
            yield Finding("bad", "devices", f"torch cannot be imported: {error}")
            return
        gpus = [f"cuda:{k} {torch.cuda.get_device_name(k)}" for k in range(torch.cuda.device_count())]
    said = [str(each.message).splitlines()[0] for each in told]
    yield Finding("ok", "devices", ", ".join(["cpu", *(gpus or ["no cuda"]), *said]))


def _disk() -> Iterator[Finding]:
    """The cache and the workspace: there, writable, with some space left."""
    from jetassay.fetching.remote import shown_size

    for what, folder, measured in (("cache", cache_folder(), True), ("workspace", workspace(), False)):
        existing = next(each for each in (folder, *folder.resolve().parents) if each.exists())
        try:
            with tempfile.TemporaryFile(dir=existing):
                pass
        except OSError as error:
            variable = f"JETASSAY_{what.upper()}"
            yield Finding("bad", what, f"{folder}: cannot be written ({error.strerror}); set {variable} to another")
            continue
        free = shutil.disk_usage(existing).free
        holds = f" holds {shown_size(_bytes_below(folder))}," if measured else ","
        text = f"{folder}{holds} {shown_size(free)} free"
        enough = free >= _MIN_FREE
        yield Finding("ok" if enough else "bad", what, text if enough else f"{text}: at least 500 MB are needed")


def _bytes_below(folder: Path) -> int:
    """Sizes of all files; those that vanish meanwhile do not count."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(where, name)).st_size  # noqa: PTH118 - half as slow for many files
            except FileNotFoundError:
                continue
    return total


def _tracking() -> Finding:
    from jetassay.tracking.store import resolve_store

    try:
        store = resolve_store()
        existing = store.database is None or store.database.parent.is_dir()
        if existing:
            store.check()
    except JetAssayError as error:
        return Finding("bad", "tracking", str(error))
    return Finding("ok", "tracking", store.shown)


def _backbones() -> Iterator[Finding]:
    """The ready ones in one row, each other one with what it needs; bad where the default suite has it."""
    from jetassay.backbones.catalogue import backbone_cards
    from jetassay.backbones.weights import locate_weights, weights_path
    from jetassay.suite import suites

    try:
        needed = set(suites()[DEFAULT_SUITE].backbones)
        cards = backbone_cards().survey()
    except JetAssayError as error:
        yield Finding("bad", "backbones", str(error))
        return
    ready, others = [], []
    for name, card in cards.items():
        lacks = None
        if isinstance(card, Broken):
            lacks = f"broken: {card.reason}"
        elif card.weights is not None:
            try:
                if weights_path(card).is_file():
                    locate_weights(card)
                else:
                    shipped = card.weights.file is not None
                    lacks = "weights missing: " + ("restore its folder" if shipped else f"jetassay fetch {name}")
            except JetAssayError as error:
                lacks = str(error)
        if lacks is None:
            ready.append(name)
        else:
            others.append(Finding("bad" if name in needed else "-", name, lacks))
    yield Finding("ok" if ready else "bad", "backbones", ", ".join(ready) or "none is ready")
    yield from others
    for name in sorted(needed - set(cards)):
        yield Finding("bad", name, f"the {DEFAULT_SUITE} suite names it, but there is no such backbone")


def _datasets() -> Iterator[Finding]:
    """The same for datasets."""
    from jetassay.jets.catalogue import dataset_cards
    from jetassay.suite import suites

    def lacks(card: "DatasetCard | Broken") -> str | None:
        if isinstance(card, Broken):
            return f"broken: {card.reason}"
        if card.simulation is not None:
            absent = _missing().get("simulation", [])
            return f"needs {', '.join(absent)}: pip install 'jetassay[simulation]'" if absent else None
        if _holds_files(card):
            return None
        ways = [f"jetassay fetch {card.name}"] if card.source else []
        ways += [f"set {card.folder_variable} to their folder"] if card.folder_variable else ["give their folder"]
        return f"no files: {', or '.join(ways)}"

    try:
        needed = suites()[DEFAULT_SUITE].dataset.card
    except JetAssayError:
        return  # told with the backbones
    cards = dataset_cards().survey()
    states = {name: lacks(card) for name, card in cards.items()}
    ready = [name for name, lack in states.items() if lack is None]
    yield Finding("ok" if ready else "-", "datasets", ", ".join(ready) or "none is ready")
    for name, lack in states.items():
        if lack is not None:
            yield Finding("bad" if name == needed else "-", name, lack)


def _holds_files(card: "DatasetCard") -> bool:
    """Whether a file of jets lies where the dataset is looked for."""
    from jetassay.jets.catalogue import fetched_folder
    from jetassay.jets.dataset import MAPPED_SUFFIXES, SUFFIXES

    endings = MAPPED_SUFFIXES if card.layouts else SUFFIXES
    found = os.walk(fetched_folder(card))
    return any(name.endswith(endings) and name[0] not in "._" for _, _, names in found for name in names)
