"""Findings kept in the cache: an audit of the same backbone on the same jets is not made twice."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jetassay
from jetassay.audit.catalogue import CHECKS
from jetassay.audit.finding import COLUMNS, Finding, Findings
from jetassay.audit.subject import Subject
from jetassay.embeddings.batching import Batching
from jetassay.embeddings.units import embedding_recipe
from jetassay.errors import StoreError
from jetassay.places import cache_folder
from jetassay.whole_files import whole_file

FORMAT = 1
STOPPED = "stopped"
"""Figure of a check that could not be made; such audits are not kept."""


def describe(subject: Subject) -> dict[str, Any]:
    """All that the findings depend on, as JSON values: backbone, jets, splits, what was asked for, and the checks."""
    backbone, jets = subject.backbone, subject.jets
    return {
        "format": FORMAT,
        "jetassay": jetassay.__version__,
        "backbone": asdict(embedding_recipe(backbone, feature_set=backbone.feature_set, batching=Batching())),
        "card": backbone.card.model_dump(mode="json"),
        "layer": backbone.card.layer,
        "dataset": [subject.dataset.name, subject.dataset.digest],
        "reading": jets.reading.describe(),
        "splits": {name: [[file.name, file.digest] for file in files] for name, files in subject.files.items()},
        "choice": subject.choice.model_dump(mode="json"),
        "checks": {name: CHECKS[name].version for name in subject.choice.checks},
    }


def recall(subject: Subject) -> Findings | None:
    """The findings of an earlier audit of the same; None where there are none, or none that can be read."""
    description = describe(subject)
    try:
        kept = check_audit(_path(description))
        return Findings(tuple(Finding(**row) for row in kept["rows"])) if kept["of"] == description else None
    except FileNotFoundError:
        return None
    except (StoreError, TypeError) as error:  # all can be found out again
        subject.reporter.warning(f"{error}; it is not used, but made again")
        return None


def check_audit(path: Path) -> dict[str, Any]:
    """A kept audit: "of", what it depends on, and its "rows"; held against its name and its checksum.

    Audits kept before there were checksums have none and pass. Raises `StoreError` where it is not that audit,
    `FileNotFoundError` where there is no file.
    """
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        of, rows = kept["of"], kept["rows"]
        checksum = kept.get("checksum", _checksum(of, rows))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{path}: not a kept audit ({error})") from error
    if _name(of) != path.name:
        raise StoreError(f"{path}: describes something other than what its name stands for")
    if checksum != _checksum(of, rows):
        raise StoreError(f"{path}: content and checksum disagree")
    return {"of": of, "rows": rows}


def kept_at(subject: Subject) -> Path:
    """Where the findings of this audit are kept, whether there are any or not."""
    return _path(describe(subject))


def keep(subject: Subject, findings: Findings) -> None:
    """Write the findings, unless a check was stopped. Raises `StoreError` where that fails."""
    if any(row.figure == STOPPED for row in findings.rows):
        return
    description = describe(subject)
    rows = [{name: getattr(row, name) for name in COLUMNS} | {"numbers": _floats(row.numbers)} for row in findings.rows]
    with whole_file(_path(description)) as partial:
        kept = {"of": description, "rows": rows, "checksum": _checksum(description, rows)}
        partial.write_text(json.dumps(kept, indent=1), encoding="utf-8")


def _floats(numbers: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in numbers.items()}


def _path(description: dict[str, Any]) -> Path:
    return cache_folder() / "audits" / _name(description)


def _name(description: Any) -> str:
    return f"{hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:32]}.json"


def _checksum(description: Any, rows: Any) -> str:
    return hashlib.sha256(json.dumps([description, rows], sort_keys=True).encode()).hexdigest()
