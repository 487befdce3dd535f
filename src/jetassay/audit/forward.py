"""Jets through a backbone, outside of the store: the path that embedding takes, in the batches that a check wants."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from jetassay.backbones.checks import REFUSALS
from jetassay.backbones.protocol import Backbone
from jetassay.embeddings.batching import Batching
from jetassay.embeddings.threads import one_thread_per_operator, usable_cores
from jetassay.errors import DataError
from jetassay.features.batch import InputBatch
from jetassay.features.cutting import between, sort_by_length, split_sorted

TOKEN_BUDGET = Batching().token_budget


def embed_inputs(
    backbone: Backbone, inputs: InputBatch, *, token_budget: int = TOKEN_BUDGET, threads: int | None = None
) -> NDArray[np.float32]:
    """The outputs (J, D + K) of `inputs`, in their order; sorted by length and cut into batches as for the store.

    The same inputs and budget give the same batches. Raises `DataError` where the backbone raises, or gives another
    shape; values are not looked at.
    """
    ordered, order = sort_by_length(inputs)
    found = np.empty((len(inputs), backbone.card.embedding_dim + len(backbone.labels)), np.float32)
    ranges = split_sorted(ordered, token_budget=token_budget)

    def run(span: tuple[int, int]) -> None:
        rows = order[slice(*span)]
        found[rows] = embed_batch(backbone, between(ordered, *span))

    with one_thread_per_operator(), ThreadPoolExecutor(threads or usable_cores(), "audit") as workers:
        list(workers.map(run, ranges))
    return found


def embed_batch(backbone: Backbone, batch: InputBatch) -> NDArray[np.float32]:
    """The outputs of one forward pass: embedding (J, D), and beside it the class probabilities (J, K) if it has labels.

    Raises `DataError` as above.
    """
    name = backbone.card.reference
    try:
        output = backbone.embed(batch)
    except REFUSALS as error:
        raise DataError(
            f"{name}: the forward pass on {len(batch)} jets fails: {type(error).__name__}: {error}"
        ) from error
    _require_shape(name, "embedding", output.embedding, (len(batch), backbone.card.embedding_dim))
    if not backbone.labels:
        return output.embedding
    if output.scores is None:
        raise DataError(f"{name}: it names {len(backbone.labels)} classes, but gives no scores")
    _require_shape(name, "scores", output.scores, (len(batch), len(backbone.labels)))
    return np.concatenate([output.embedding, output.scores], axis=1)


def _require_shape(name: str, what: str, found: NDArray[np.float32], shape: tuple[int, int]) -> None:
    if found.shape != shape or found.dtype != np.float32:
        raise DataError(f"{name}: {what} should be float32 {shape}, not {found.dtype} {found.shape}")
