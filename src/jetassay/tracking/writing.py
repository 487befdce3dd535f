"""The content of one tracked run: parameters, metrics, dataset, model, tables, files."""

import json
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from jetassay.masking import mask, mask_values
from jetassay.tracking.engine import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelInput,
    LoggedModelStatus,
    Metric,
    Tracking,
)
from jetassay.tracking.naming import Named, mean_scores, named_scores, per_class_table
from jetassay.tracking.record import BackboneRecord, Parameter, SuiteRecord, probed_signals
from jetassay.whole_files import is_partial

DIGEST_LENGTH = 32  # MLflow takes at most 36 characters for a dataset's digest; the tag `data_digest` holds all
_EXTERNAL_MODEL = {"mlflow.model.isExternal": "true"}


def provenance_tags(provenance: Mapping[str, Any]) -> dict[str, str]:
    """The parts of a provenance that are worth searching for, as tags; the whole of it goes along as a file."""
    git, machine = provenance.get("git", {}), provenance.get("machine", {})
    tags = {
        "git.commit": git.get("commit") or git.get("note"),
        "git.dirty": git.get("dirty"),
        "machine.cpu": machine.get("cpu"),
        "machine.cores": machine.get("usable_cores"),
        "machine.memory_gib": machine.get("memory_gib"),
        "machine.platform": machine.get("platform"),
        "threads": provenance.get("threads", {}).get("used"),
        **{f"version.{name}": number for name, number in provenance.get("versions", {}).items()},
        "mlflow.source.name": "jetassay",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": git.get("commit"),
    }
    return {key: _text(value) for key, value in tags.items() if value is not None}


def write_backbone(
    tracking: Tracking, run_id: str, record: SuiteRecord, backbone: BackboneRecord, seed: int | None
) -> tuple[str, ...]:
    """Fill the run of one backbone and seed; gives the names of scores that have no value."""
    rows = record.rows(backbone.name, seed)
    named = named_scores(rows)
    parameters = backbone_parameters(rows, backbone, seed)
    model_id = _external_model(tracking, run_id, backbone, parameters)
    spent = {f"time_s/{stage}": seconds for stage, seconds in backbone.timing_s.items()}
    tracking.log(
        run_id,
        metrics=[
            *_score_metrics(named, model_id=model_id),
            *plain_metrics(mean_scores(rows, signals=probed_signals(record.frame)), model_id=model_id),
            *plain_metrics({**spent, **_resources(record.provenance)}),
        ],
        parameters=parameters,
        tags=_missing_tag(named.missing),
    )
    _log_inputs(tracking, run_id, rows, model_id=model_id)
    table = per_class_table(rows)
    if len(table):
        tracking.client.log_table(run_id, table.astype(object), "per_class.json")  # plain objects: JSON has no NA
    about = {"backbone": backbone.name, "role": backbone.role, "weights_sha256": backbone.weights_sha256, "seed": seed}
    log_json(tracking, run_id, {**record.provenance, **about, "parameters": parameters}, "provenance.json")
    _log_scores(tracking, run_id, rows)
    log_files(tracking, run_id, backbone.artifacts)
    return named.missing


def write_suite(tracking: Tracking, run_id: str, record: SuiteRecord) -> tuple[str, ...]:
    """Fill the suite's own run with what belongs to no single backbone; gives the names of scores without a value."""
    rows = record.shared_rows()
    named = named_scores(rows)
    spent = {f"time_s/{stage}": seconds for stage, seconds in record.provenance.get("timing_s", {}).items()}
    tracking.log(
        run_id,
        metrics=[*_score_metrics(named), *plain_metrics({**spent, **_resources(record.provenance)})],
        parameters=suite_parameters(record),
        tags={**_missing_tag(named.missing), "mlflow.note.content": record.description},
    )
    _log_inputs(tracking, run_id, record.frame)
    if record.description:
        tracking.client.log_text(run_id, mask(record.description) + "\n", "leaderboard.md")
    log_json(tracking, run_id, record.provenance, "provenance.json")
    log_files(tracking, run_id, record.artifacts)
    return named.missing


def backbone_parameters(rows: pd.DataFrame, backbone: BackboneRecord, seed: int | None) -> dict[str, Parameter]:
    """What is worth comparing between the runs of a suite, and nothing else: MLflow shows all of it side by side."""
    return {
        "role": backbone.role,
        "weights": (backbone.weights_sha256 or "none")[:12],
        "seed": seed,
        **{name: _one(rows[name]) for name in ("dataset", "split_seed", "dtype")},
        **backbone.parameters,
    }


def suite_parameters(record: SuiteRecord) -> dict[str, Parameter]:
    """Settings of the suite as far as they are plain values, and which backbones it compared."""
    plain = {
        key: value
        for key, value in record.provenance.get("parameters", {}).items()
        if isinstance(value, str | int | float | bool)
    }
    return {**plain, "backbones": ", ".join(each.name for each in record.backbones)}


def plain_metrics(values: Mapping[str, float], *, model_id: str | None = None, step: int = 0) -> list[Metric]:
    """Metrics of MLflow by name."""
    now = int(time.time() * 1000)
    return [Metric(name, float(value), now, step, model_id=model_id) for name, value in values.items()]


def log_json(tracking: Tracking, run_id: str, content: Mapping[str, Any], name: str) -> None:
    """A JSON file among the run's artifacts."""
    tracking.client.log_text(
        run_id, json.dumps(mask_values(content), indent=1, default=lambda each: mask(str(each))) + "\n", name
    )


def log_files(tracking: Tracking, run_id: str, paths: Iterable[Path]) -> None:
    """Files, and folders with what they hold, among the run's artifacts."""
    for path in paths:
        if path.is_dir():  # one by one: another run of the same suite may just be writing there
            for each in sorted(path.rglob("*")):
                if each.is_file() and not is_partial(each):
                    tracking.client.log_artifact(run_id, str(each), str(each.parent.relative_to(path.parent)))
        else:
            tracking.client.log_artifact(run_id, str(path))


def _score_metrics(named: Named, *, model_id: str | None = None) -> list[Metric]:
    """Scores as metrics, linked to the dataset they were measured on and to the model, so that both pages show them."""
    now = int(time.time() * 1000)
    return [
        Metric(
            name,
            value,
            now,
            0,
            model_id=model_id,
            dataset_name=named.datasets[name][0],
            dataset_digest=named.datasets[name][1][:DIGEST_LENGTH],
        )
        for name, value in named.numbers.items()
    ]


def _external_model(
    tracking: Tracking, run_id: str, backbone: BackboneRecord, parameters: Mapping[str, Parameter]
) -> str:
    """A logged model that only names the backbone and its weights' hash: weights themselves are not tracked."""
    model = tracking.client.create_logged_model(
        tracking.experiment_id,
        name=backbone.name,
        source_run_id=run_id,
        tags={**_EXTERNAL_MODEL, "role": backbone.role, "weights_sha256": backbone.weights_sha256 or "none"},
        params={key: str(value) for key, value in mask_values(parameters).items() if value is not None},
        model_type=backbone.role,
    )
    tracking.client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    return str(model.model_id)


def _log_inputs(tracking: Tracking, run_id: str, rows: pd.DataFrame, *, model_id: str | None = None) -> None:
    """The datasets that the scores were measured on, by name and digest, and the model, as inputs of the run."""
    pairs = rows[["dataset", "data_digest"]].dropna().drop_duplicates().itertuples(index=False)
    datasets = [
        DatasetInput(
            Dataset(
                name=name,
                digest=digest[:DIGEST_LENGTH],
                source_type="jetassay",
                source=json.dumps({"dataset": name, "sha256": digest}),
            ),
            tags=[InputTag("mlflow.data.context", "evaluation")],
        )
        for name, digest in pairs
    ]
    models = [LoggedModelInput(model_id)] if model_id else None
    tracking.client.log_inputs(run_id, datasets, models)


def _log_scores(tracking: Tracking, run_id: str, rows: pd.DataFrame) -> None:
    """The run's own rows of the long frame, all of them, as parquet."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scores.parquet"
        rows.assign(run_id=run_id).to_parquet(path, index=False)
        tracking.client.log_artifact(run_id, str(path))


def _missing_tag(names: tuple[str, ...]) -> dict[str, str]:
    return {"missing": ", ".join(names)} if names else {}


def _resources(provenance: Mapping[str, Any]) -> dict[str, float]:
    peak = provenance.get("peak_memory_mib")
    return {} if peak is None else {"memory_mib/peak": float(peak)}


def _one(column: pd.Series) -> Parameter:
    """The value that all rows share; several are listed, none is None."""
    values = column.dropna().unique()
    return None if len(values) == 0 else ", ".join(str(value) for value in values)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
