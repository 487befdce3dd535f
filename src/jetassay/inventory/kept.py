"""The suites whose results lie in the workspace, as they were run."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pydantic import ValidationError

from jetassay.errors import JetAssayError
from jetassay.inventory.planning import SuitePlan, plan_suite
from jetassay.places import workspace
from jetassay.progress import Reporter
from jetassay.suite import Suite


@dataclass(frozen=True, slots=True)
class Kept:
    """Results of a suite, and all that a second run of it takes of the cache.

    plan:   None where it cannot be told
    reason: why not
    """

    name: str
    plan: SuitePlan | None
    reason: str = ""

    @property
    def told(self) -> str:
        """The suite, and the tracked runs of its results where there are any."""
        try:
            scores = pd.read_parquet(workspace() / "reports" / self.name / "scores.parquet", columns=["run_id"])
        except (OSError, ValueError):
            return self.name
        runs = ", ".join(sorted(scores["run_id"].dropna().astype(str).unique()))
        return f"{self.name} (tracked as {runs})" if runs else self.name


def kept_results(*, forget: Sequence[str] = (), reporter: Reporter) -> list[Kept]:
    """The plan of each suite with results in the workspace, in the form in which it was run.

    forget: names of suites that are left out
    """
    found = sorted((workspace() / "reports").glob("*/provenance.json"))
    return [_kept(path, reporter) for path in found if path.parent.name not in forget]


def _kept(path: Path, reporter: Reporter) -> Kept:
    name = path.parent.name
    try:
        parameters = json.loads(path.read_text(encoding="utf-8"))["parameters"]
        suite = Suite.model_validate({key: value for key, value in parameters.items() if key != "device"})
        return Kept(name, plan_suite(suite, reporter=reporter))
    except ValidationError as error:
        return Kept(name, None, f"{path}: written by another version ({error.error_count()} keys differ)")
    except (OSError, ValueError, KeyError, AttributeError) as error:
        return Kept(name, None, f"{path}: cannot be read ({error})")
    except JetAssayError as error:
        return Kept(name, None, str(error))
