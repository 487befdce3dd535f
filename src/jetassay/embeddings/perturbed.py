"""The first jets of each file as another detector would have seen them, embedded and stored like any others."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jetassay.backbones.protocol import Backbone
from jetassay.embeddings.datasets import DEFAULT_BATCHING, complete, default_store
from jetassay.embeddings.embedded import Embedded
from jetassay.embeddings.stored import StoredEmbedding
from jetassay.embeddings.units import Reading, TableRecipe, embedding_recipe, plan
from jetassay.jets.dataset import DataFile, Dataset
from jetassay.jets.perturbations import Perturbation
from jetassay.jets.reading import OnInvalid
from jetassay.progress import Reporter


def embed_perturbed(
    backbone: Backbone,
    dataset: Dataset,
    *,
    perturbation: Perturbation,
    stops: Mapping[DataFile, int] | None = None,
    on_invalid: OnInvalid = "error",
    threads: int | None = None,
    reporter: Reporter,
) -> Embedded:
    """The embedding of the first entries of each file; what the store has is not computed again.

    stops: how many entries of each file; all of those that are not in it
    on_invalid, threads: as of `embed_dataset`

    Labels and jet columns are those of the jets before. Raises as `embed_dataset` does.
    """
    feature_set, batching, store = backbone.feature_set, DEFAULT_BATCHING, default_store()
    needs = perturbation.needs(feature_set.needs)
    dataset.schema.require_columns(needs, owner=f"feature set '{feature_set.name}' under {perturbation}")
    nominal = embedding_recipe(backbone, feature_set=feature_set, batching=batching)
    shared: dict[str, Any] = {
        "reading": Reading(schema=dataset.schema, selection=dataset.selection, on_invalid=on_invalid),
        "entries_per_unit": batching.entries_per_unit,
        "stops": stops,
    }
    tables = plan(dataset.files, recipe=TableRecipe(), **shared)
    units = plan(dataset.files, recipe=replace(nominal, perturbation=perturbation), **shared)
    planned = StoredEmbedding(
        backbone=backbone, tables=tables, units=units, store=store, threads=threads, reporter=reporter
    )
    complete(planned)
    return planned.load()
