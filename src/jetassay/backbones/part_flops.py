"""What a Particle Transformer has to compute for a jet, counted by hand: the yardstick of its speed.

Only matrix products count, two operations for each multiplication and addition; only real constituents and real pairs
count, whatever an implementation computes besides. So the same jets are the same work for every implementation, and
work by time is a share of what the processor can do in matrix products.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


def nominal_flops(  # noqa: PLR0913 - the hyper-parameters of the network
    multiplicities: NDArray[np.int64],
    *,
    input_dim: int,
    num_classes: int,
    embed_dims: Sequence[int] = (128, 512, 128),
    pair_embed_dims: Sequence[int] = (64, 64, 64),
    num_heads: int = 8,
    num_layers: int = 8,
    num_cls_layers: int = 2,
    ffn_ratio: int = 4,
    fc_params: Sequence[tuple[int, float]] = (),
    **_without_products: object,
) -> NDArray[np.float64]:
    """Operations of the forward pass of each jet, float64 (J,); parameters are those of `part.ParticleTransformer`.

    With n constituents, D the last of `embed_dims` and r = `ffn_ratio`, a product of rows by an (a, b) matrix costs
    2 a b a row:

    - embedding: the chain F, *embed_dims, for n rows;
    - pairs: the chain 4, *pair_embed_dims, H, for n (n + 1) / 2 rows, since the bias is symmetric and a constituent
      has one with itself;
    - each layer of constituents: query, key and value 3 D^2, output D^2, feed-forward 2 r D^2, for n rows; logits and
      mixture, 2 n^2 D each;
    - each layer of the class token: query, output and feed-forward, D^2 (2 + 2 r), for one row; key and value, 2 D^2,
      for the n + 1 rows that it looks at; logits and mixture, 2 (n + 1) D each;
    - classifier: the chain D, *widths of fc_params, K, for one row.
    """
    n = np.asarray(multiplicities, dtype=np.float64)
    width = embed_dims[-1]
    square = width**2
    feed = 2 * ffn_ratio * square
    embedding = n * _row((input_dim, *embed_dims))
    pairs = n * (n + 1) / 2 * _row((4, *pair_embed_dims, num_heads))
    layer = n * 2 * (4 * square + feed) + 4 * n**2 * width
    reader = 2 * (2 * square + feed) + (n + 1) * (2 * 2 * square + 4 * width)
    classifier = _row((width, *(hidden for hidden, _ in fc_params), num_classes))
    return np.asarray(embedding + pairs + num_layers * layer + num_cls_layers * reader + classifier)


def _row(widths: Iterable[int]) -> int:
    """Operations of a chain of matrices on one row."""
    return sum(2 * before * after for before, after in pairwise(widths))
