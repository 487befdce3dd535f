"""A DataFrame of jets through one backbone, in memory: what a model that was deployed does."""

import numpy as np
import pandas as pd

from jetassay.backbones.protocol import Backbone
from jetassay.embeddings.batching import Batching
from jetassay.errors import ConfigError
from jetassay.features.cutting import between, sort_by_length, split_sorted
from jetassay.features.inputs import compute_inputs
from jetassay.jets.frames import FrameSource
from jetassay.jets.reading import read_opened
from jetassay.jets.schema import Schema


def embed_frame(backbone: Backbone, frame: pd.DataFrame, *, schema: Schema, scores: bool = False) -> pd.DataFrame:
    """One row a jet, in the order and with the index of `frame`: float32 emb_0, emb_1, ...; with `scores` score_NAME.

    frame:  a row a jet; constituent columns as lists or arrays, jet columns as numbers, named and in the units of
            `schema`; columns that the backbone does not need are not looked at
    scores: also the class probabilities

    Jets are checked, sorted and cut as when they are read from files. Raises `DataError` naming column and row where a
    jet cannot be used: no jet is dropped, so that rows stay what they are; `ConfigError` for scores of a backbone
    without a classifier head.
    """
    if scores and not backbone.labels:
        raise ConfigError(f"'{backbone.card.reference}' has no classifier head: no scores to give")
    widths = {"embedding": backbone.card.embedding_dim, **({"scores": len(backbone.labels)} if scores else {})}
    found = {name: np.empty((len(frame), width), np.float32) for name, width in widths.items()}
    batching, source = Batching(), FrameSource(frame)
    most = backbone.card.max_constituents
    chunks = read_opened(source, schema=schema, needs=backbone.feature_set.needs, max_constituents=most)
    for chunk in chunks if len(frame) else ():
        inputs, order = sort_by_length(compute_inputs(backbone.feature_set, chunk.jets))
        for first, last in split_sorted(inputs, token_budget=batching.token_budget):
            output, rows = backbone.embed(between(inputs, first, last)), chunk.origin.entries[order[first:last]]
            found["embedding"][rows] = output.embedding
            if scores:
                found["scores"][rows] = output.scores
    table = np.concatenate(list(found.values()), axis=1)
    names = [f"emb_{k}" for k in range(backbone.card.embedding_dim)]
    return pd.DataFrame(
        table, columns=[*names, *(f"score_{name}" for name in backbone.labels if scores)], index=frame.index
    )
