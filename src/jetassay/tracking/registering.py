"""A backbone in MLflow's model registry, for who deploys from there: `jetassay register`."""

import hashlib
import json
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jetassay import __version__
from jetassay.errors import TrackingError
from jetassay.jets.catalogue import find_schema
from jetassay.masking import mask
from jetassay.progress import Reporter
from jetassay.tracking.engine import (
    LoggedModelStatus,
    MlflowException,
    Tracking,
    open_tracking,
    short_values,
    told_plainly,
)
from jetassay.tracking.lifecycle import closing, identity_tags
from jetassay.tracking.portable import write_portable
from jetassay.tracking.provenance import git_facts, machine_facts, version_facts
from jetassay.tracking.writing import provenance_tags

if TYPE_CHECKING:
    from jetassay.backbones.protocol import Backbone

_DIGEST = "jetassay.digest"
_MODEL = "model"
_AGAIN = "Nothing was registered; run the same command again when that is mended."


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """Where it is: `uri` is what `mlflow.pyfunc.load_model` takes; is_new: False where the same was there already."""

    name: str
    version: str
    store: str
    is_new: bool

    @property
    def uri(self) -> str:
        """As MLflow names a version."""
        return f"models:/{self.name}/{self.version}"


def register(
    backbone: "Backbone", *, name: str | None = None, schema: str = "jetclass", reporter: Reporter
) -> Registered:
    """Register the backbone under `name`, by default its reference; what is registered already adds no version.

    schema: the dataset whose columns the jets are given in

    Raises `ConfigError` and `WeightsError` for a backbone that cannot travel, `DataError` where the schema lacks what
    it needs, `TrackingError` where the store cannot be used.
    """
    card = backbone.card
    find_schema(schema).require_columns(backbone.feature_set.needs, owner=f"'{card.reference}'")
    name = name or card.reference.replace("@", "-at-")
    tracking = open_tracking(reporter=reporter)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        write_portable(backbone, schema=schema, folder=data)
        digest = _digest(data)
        with told_plainly(tracking.store, hint=_AGAIN), tracking.store.lock():
            known = _known(tracking, name, digest)
            if known is None:
                path = Path(folder) / _MODEL
                _save(backbone, data, path)
                tags = {_DIGEST: digest, **_tags(backbone)}
                run_id = tracking.create_run(
                    f"register {name}", {**tags, "kind": "model", **_code(), **identity_tags()}
                )
                with closing(tracking, run_id, reporter=reporter):
                    version = _upload(tracking, name, path, tags, title=card.title, run_id=run_id)
            else:
                version = known
    return Registered(name=name, version=version, store=tracking.store.shown, is_new=known is None)


def _digest(folder: Path) -> str:
    """sha256 hex over names and bytes of all files."""
    found = hashlib.sha256()
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        content = path.read_bytes()
        found.update(json.dumps([path.relative_to(folder).as_posix(), len(content)]).encode() + content)
    return found.hexdigest()


def _known(tracking: Tracking, name: str, digest: str) -> str | None:
    """The version of `name` that holds the same, if there is one."""
    try:
        tracking.client.create_registered_model(
            name, description="A jet-tagging backbone: raw constituent columns in, embeddings out."
        )
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    versions = tracking.client.search_model_versions(f"name = '{name}'")
    same = [each for each in versions if each.tags.get(_DIGEST) == digest and each.status == "READY"]
    return str(max(same, key=lambda each: int(each.version)).version) if same else None


def _tags(backbone: "Backbone") -> dict[str, str]:
    card = backbone.card
    return {
        "backbone": card.reference,
        "role": card.role,
        "weights_sha256": backbone.weights_sha256,
        "licence": card.weights.licence if card.weights else "none",
        "jetassay": __version__,
    }


def _code() -> dict[str, str]:
    """With which code and on which machine it was made."""
    return provenance_tags({"git": git_facts(), "versions": version_facts(), "machine": machine_facts()})


def _save(backbone: "Backbone", data: Path, path: Path) -> None:
    """A model folder of MLflow: ours as its data, `served` as what loads it, and no Python object in it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own type hints
        from mlflow.models import ModelSignature
        from mlflow.pyfunc import save_model
        from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
        from mlflow.types.schema import AnyType

    any_type: Callable[[], Any] = AnyType
    # MLflow refuses whole numbers for a list of floats without naming the column; our own reader converts and names
    inputs = Schema([ColSpec(any_type(), column) for column in backbone.feature_set.needs])
    outputs = Schema([ColSpec(DataType.float, f"emb_{k}") for k in range(backbone.card.embedding_dim)])
    params = ParamSchema([ParamSpec("scores", DataType.boolean, default=False)] if backbone.labels else [])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s).*input example was not provided")  # it would have to be embedded, too
        save_model(
            str(path),
            loader_module="jetassay.tracking.served",
            data_path=str(data),
            signature=ModelSignature(inputs, outputs, params),
            pip_requirements=[f"jetassay=={__version__}"],
            metadata={"backbone": backbone.card.reference, "weights_sha256": backbone.weights_sha256},
        )


def _upload(tracking: Tracking, name: str, path: Path, about: Mapping[str, str], *, title: str, run_id: str) -> str:
    """The logged model with its files, then the version, so that no version is ever without its files."""
    client, tags = tracking.client, short_values(about)
    model = client.create_logged_model(
        tracking.experiment_id, name=name, source_run_id=run_id, tags=tags, model_type="pyfunc"
    )
    try:
        client.log_model_artifacts(model.model_id, str(path))
        client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
        # by its place, and with its run: else MLflow looks for the model in the store of the process, not the client's
        source = f"models:/{model.model_id}" if tracking.store.is_server else model.artifact_location
        made = client.create_model_version(
            name, source, run_id=run_id, tags=tags, description=mask(title), model_id=model.model_id
        )
    except BaseException:
        client.finalize_logged_model(model.model_id, LoggedModelStatus.FAILED)
        raise
    if made.status != "READY":
        raise TrackingError(f"{name}: version {made.version} is {made.status}; run the same command again")
    return str(made.version)
