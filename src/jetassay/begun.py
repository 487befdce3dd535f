"""Runs that were begun: what they were asked for lies in the workspace until their results say it themselves.

So that nothing of a run that takes days, or was stopped and goes on later, is taken for what no run needs.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from jetassay.jets.dataset import DataFile, Dataset
from jetassay.masking import mask_values
from jetassay.places import workspace
from jetassay.suite import Suite
from jetassay.whole_files import whole_file


def begun_folder() -> Path:
    """Where a file lies for each run that was begun and has no results yet."""
    return workspace() / "begun"


def begun_suite(path: Path) -> str:
    """The suite that such a file is of."""
    return path.stem.rpartition("-")[0]


def note_begun(suite: Suite, dataset: Dataset, splits: Mapping[str, tuple[DataFile, ...]]) -> Path:
    """Leave word that a suite is run on these jets; gives the file, to be removed when its results are on disk.

    The same suite begun again leaves it in the same file. Raises `StoreError` where it cannot be written.
    """
    parameters = mask_values(suite.model_dump(mode="json"))
    digest = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()
    names = sorted({file.name for files in splits.values() for file in files})
    about = {"parameters": parameters, "data": {"digest": dataset.digest, "file_names": names}}
    path = begun_folder() / f"{suite.name}-{digest[:12]}.json"
    with whole_file(path) as partial:
        partial.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    return path
