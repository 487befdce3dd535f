"""The suites whose results lie in the workspace or wait in its outbox, or that were begun, as they were run."""

import json
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from jetassay.begun import begun_folder, begun_suite
from jetassay.errors import ConfigError, JetAssayError
from jetassay.inventory.planning import SuitePlan, Taken, plan_suite
from jetassay.masking import mask_values
from jetassay.places import workspace
from jetassay.progress import Reporter
from jetassay.report.reading import PROVENANCE, SCORES
from jetassay.report.results import results_folder
from jetassay.suite import Suite
from jetassay.tracking.outbox import RECORD, suite_of, waiting
from jetassay.whole_files import is_partial

_UNREADABLE = (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Kept:
    """Results of a suite, and all that a second run of it takes of the cache.

    plan:   None where it cannot be told
    reason: why not
    folder: where the results lie; None for a suite that is only named
    begun:  whether it was begun and has no results yet
    """

    name: str
    plan: SuitePlan | None
    reason: str = ""
    folder: Path | None = None
    begun: bool = False

    @property
    def label(self) -> str:
        """The suite, and how far it came."""
        return f"{self.name} (begun and not finished)" if self.begun else self.name

    @property
    def why_unknown(self) -> str:
        """Why it is not known in full what the suite takes; empty where it is."""
        if self.plan is None:
            return self.reason
        known = self.plan.known_so_far if self.begun else self.plan.known
        return "" if known else "some of its jets, or of their tables, are not there or damaged too"

    @property
    def told(self) -> str:
        """The suite, and where its results wait, or the tracked runs of them where there are any."""
        if self.folder is None:
            return self.name
        if (self.folder / RECORD).exists():
            return f"{self.name} (not tracked yet, in {self.folder})"
        try:
            scores = pd.read_parquet(self.folder / SCORES, columns=["run_id"])
        except (OSError, ValueError):
            return self.name
        runs = ", ".join(sorted(scores["run_id"].dropna().astype(str).unique()))
        return f"{self.name} (tracked as {runs})" if runs else self.name


def kept_results(*, forget: Sequence[str] = (), begun: bool = False, reporter: Reporter) -> list[Kept]:
    """The plan of each suite with results in the workspace or its outbox, in the form in which it was run.

    forget: names of suites that are left out
    begun:  whether those count too that were begun and have no results yet

    Raises `ConfigError` where there is nothing of one to forget.
    """
    plans: dict[str, SuitePlan] = {}
    under_way = list(_begun()) if begun else []  # first: a run that ends now has results by then
    found = [*_results(), *under_way]
    _require_there(forget, {name for name, _ in found})
    return [_kept(name, path, plans, reporter) for name, path in found if name not in forget]


def forgotten_runs(forget: Sequence[str]) -> list[Path]:
    """Files that say that one of these suites was begun."""
    return [path for name, path in _begun() if name in forget]


def _require_there(forget: Sequence[str], names: Collection[str]) -> None:
    unknown = [name for name in forget if name not in names]
    if unknown:
        raise ConfigError(
            f"nothing of {', '.join(unknown)} to forget in {workspace()}; "
            f"there are results of, or runs begun of: {', '.join(sorted(names)) or 'none'}"
        )


def _results() -> Iterator[tuple[str, Path]]:
    """Each suite with the file that says how it was run, which may be lost where its scores are not."""
    reports = workspace() / "reports"
    for folder in sorted({path.parent for name in (SCORES, PROVENANCE) for path in reports.glob(f"*/{name}")}):
        yield folder.name, folder / PROVENANCE
    for entry in waiting():
        yield suite_of(entry), entry / RECORD


def _begun() -> Iterator[tuple[str, Path]]:
    """The same of runs that were begun and have no results yet."""
    for path in sorted(begun_folder().glob("*.json")):
        if not is_partial(path):
            yield begun_suite(path), path


def _kept(name: str, path: Path, plans: dict[str, SuitePlan], reporter: Reporter) -> Kept:
    """What is kept of one suite. plans: by what was run; those that are made are added."""
    begun = path.parent == begun_folder()
    try:
        parameters, taken = _told(path)
        key = json.dumps([parameters, taken.digest, sorted(taken.files or ())], sort_keys=True)
        if key not in plans:
            suite = Suite.model_validate(parameters)
            plans[key] = plan_suite(suite, set_aside=True, taken=taken, reporter=reporter)
        if not plans[key].jets.there or plans[key].jets.dataset.digest == taken.digest:
            return Kept(name, plans[key], folder=path.parent, begun=begun)
        reason = f"{path}: {_place(plans[key])} holds other jets than those that it was run on"
    except ValidationError as error:
        reason = f"{path}: written by another version ({error.error_count()} keys differ)"
    except _UNREADABLE as error:
        reason = f"{path}: cannot be read ({error})"
    except JetAssayError as error:
        reason = str(error)
    return Kept(name, None, reason, path.parent, begun)


def last_taken(suite: Suite) -> Taken | None:
    """The jets of the last results of this very suite; None where there are none, or none that say so."""
    try:
        parameters, taken = _told(results_folder(suite.name) / PROVENANCE)
    except _UNREADABLE:
        return None
    return taken if parameters == mask_values(suite.model_dump(mode="json")) else None


def _told(path: Path) -> tuple[dict[str, Any], Taken]:
    """What was run and on which jets, from the provenance of results, a record that waits, or what a run began with."""
    about = json.loads(path.read_text(encoding="utf-8"))
    if path.name == RECORD:
        about = about["provenance"]
    parameters = {key: value for key, value in about["parameters"].items() if key != "device"}
    names = about["data"].get("file_names")
    return parameters, Taken(str(about["data"]["digest"]), None if names is None else frozenset(names))


def _place(plan: SuitePlan) -> str:
    """Where the jets of a plan lie: in one folder, or below it."""
    return os.path.commonpath([file.path.parent for file in plan.jets.dataset.files])
