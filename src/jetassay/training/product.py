"""What training leaves in `models/NAME`: weights, curves, counts by label and the card that ties them together."""

import csv
import hashlib
import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from jetassay.backbones.card import read_card
from jetassay.training.evaluation import Performance
from jetassay.training.loop import Epoch, Progress
from jetassay.training.recipe import TrainingRecipe
from jetassay.training.sample import TrainingSample
from jetassay.training.toml import to_toml
from jetassay.whole_files import whole_file

WEIGHTS_FILE, CURVES_FILE, LABELS_FILE, CARD_FILE = "weights.safetensors", "curves.csv", "labels.csv", "card.toml"
_DECIMALS = 5
_SHOWN_LABELS = 20
"""Of more labels than this the card gives only the mean; `labels.csv` has them all."""


def write_product(
    folder: Path, recipe: TrainingRecipe, sample: TrainingSample, progress: Progress, performance: Performance
) -> Path:
    """Write all four files, the card last, and give its path. Each file is whole or as it was.

    Raises `StoreError` where the folder cannot be written, `ConfigError` where the card does not stand its own checks.
    """
    weights = serialise(progress.best_weights, name=recipe.name)
    _write(folder / WEIGHTS_FILE, weights)
    _write(folder / CURVES_FILE, _table(list(Epoch.__dataclass_fields__), map(_row, progress.curves)))
    _write(folder / LABELS_FILE, _labels_table(sample, performance))
    card = card_table(
        recipe, sample, progress, performance, weights_sha256=hashlib.sha256(weights).hexdigest(), size=len(weights)
    )
    _write(folder / CARD_FILE, (_HEADER + to_toml(card)).encode())
    read_card(folder / CARD_FILE)
    return folder / CARD_FILE


def serialise(weights: Mapping[str, torch.Tensor], *, name: str) -> bytes:
    """The bytes of a safetensors file: the same weights give the same bytes."""
    content = {key: value.detach().contiguous() for key, value in sorted(weights.items())}
    return save(content, metadata={"jetassay": json.dumps({"card": name})})


def card_table(
    recipe: TrainingRecipe,
    sample: TrainingSample,
    progress: Progress,
    performance: Performance,
    *,
    weights_sha256: str,
    size: int,
) -> dict[str, Any]:
    """The card as plain values, in the order in which it reads best."""
    return {
        "name": recipe.name,
        "title": recipe.title,
        "notes": recipe.notes,
        "paper": recipe.paper,
        "architecture": recipe.architecture,
        "feature_set": recipe.feature_set,
        "embedding_dim": recipe.embedding_dim,
        "labels": recipe.sample.kind,
        "trained_on": [recipe.sample.name],
        "permutation_invariant": recipe.permutation_invariant,
        "max_constituents": recipe.max_constituents,
        **({"layers": recipe.layers} if recipe.layers else {}),
        "parameters": recipe.parameters,
        "weights": {"file": WEIGHTS_FILE, "sha256": weights_sha256, "size": size, "licence": "MIT"},
        "training": {
            "data_digest": sample.digest,
            "seed": recipe.optimisation.seed,
            "jets": len(sample.train),
            "curves": CURVES_FILE,
            "measured": _measured(sample, progress, performance),
            "environment": environment(),
            "recipe": recipe.content(),
        },
    }


def environment() -> dict[str, str]:
    """When, on what and with what the weights were made."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {_processor()}",
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "numpy", "pythia8mc", "fastjet")},
    }


def _measured(sample: TrainingSample, progress: Progress, performance: Performance) -> dict[str, float]:
    """Figures of the best epoch on the test files, and how it came about."""
    aucs = performance.auc_vs_background
    found: dict[str, float | None] = {
        "best_epoch": progress.best.epoch,
        "validation_loss": progress.best.validation_loss,
        "time_s": round(sum(epoch.time_s for epoch in progress.curves)),
        "test_jets": len(sample.test),
        "accuracy": performance.accuracy,
        "top5_accuracy": performance.top5_accuracy,
        "macro_ovo_auc": performance.macro_ovo_auc,
        "mean_auc_vs_QCD": performance.mean_auc_vs_background,
        "labels_in_mean": len(aucs),
        "labels_trained": sum(count[0] > 0 for count in sample.counts().values()),
    }
    if len(aucs) <= _SHOWN_LABELS:
        found |= {f"auc_{name}_vs_QCD": value for name, value in aucs.items()}
    return {name: round(value, _DECIMALS) for name, value in found.items() if value is not None}


_HEADER = """\
# Written by `make train-mini` from training.toml, which is the file to change.
# training.measured: on test files; auc_S_vs_QCD is that of p_S / (p_S + p_QCD) of the network's own outputs.

"""


def _labels_table(sample: TrainingSample, performance: Performance) -> bytes:
    rows = [
        (name, *counts, _rounded(performance.auc_vs_background.get(name))) for name, counts in sample.counts().items()
    ]
    return _table(["label", "train", "validation", "test", "test_auc_vs_QCD"], rows)


def _row(epoch: Epoch) -> list[Any]:
    return [_rounded(value) for value in asdict(epoch).values()]


def _rounded(value: Any) -> Any:
    return f"{value:.7g}" if isinstance(value, float) else "" if value is None else value


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    from io import StringIO

    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


def _write(path: Path, content: bytes) -> None:
    with whole_file(path) as partial:
        partial.write_bytes(content)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown processor"
