"""What each trick of the packed form is worth: ParT embeds the same jets with one of them taken away at a time.

`python -m benchmarks.ablation FILE.json`. Every variant is the packed form but for one thing, and gives the same
embedding to 2e-5, which is checked before anything is timed. CPU time of one thread, interleaved rounds.
"""

import math
from unittest.mock import patch

import numpy as np
import torch
from benchmarks.networks import copy_of, embed_pool, flops, moved, pool_of
from benchmarks.rounds import Way, measure, program, quantity
from torch.nn import functional

from jetassay.backbones import folding, packed
from jetassay.backbones.card import read_card
from jetassay.backbones.loading import TorchBackbone, build_module
from jetassay.errors import JetAssayError
from jetassay.places import models_folder

CARD, POOL, TOLERANCE = "part-full", 512, 2e-5
WHOLE = 1 << 30


class PlainPairs:
    """The bias as the readable module makes it, in rows of keys as long as the packed form's attention wants them."""

    def __init__(self, module):
        self.module = module

    def __call__(self, p4, mask):
        bias = self.module.pair_embed(p4, mask).masked_fill(~mask[:, None, None, :], -math.inf)
        return functional.pad(bias, (0, -mask.shape[1] % 16), value=-math.inf)


class PlainReader:
    """One layer of the class token as the readable module has it: keys and values of all constituents."""

    def __init__(self, block):
        self.block = block

    def __call__(self, token, tokens, unseen):
        seen = tokens.view(len(token), -1, tokens.shape[1])
        hidden = torch.zeros(len(token), 1, seen.shape[1] + 1, dtype=torch.bool) if unseen is None else unseen
        bias = torch.zeros(hidden.shape).masked_fill(hidden, -math.inf)[:, None]
        return self.block(token[:, None], bias, seen)[:, 0]


def linear(self, rows):
    """In place of `folding.Product`: the bias inside the product."""
    return functional.linear(rows, self.matrix.T, self.bias)


def variants(card, state):
    """name -> a backbone, and what to patch while it runs."""

    def form(**sizes):
        ours = TorchBackbone(card, copy_of(card, state), device=torch.device("cpu"), dtype="float32")
        chosen = {"rows": 1024, "pairs": 3072, "feed": 1024, **sizes}
        ours._network = packed.PackedTransformer(ours.module, sizes=packed.Sizes(**chosen))  # noqa: SLF001
        ours._rows = chosen["rows"]  # noqa: SLF001
        return ours

    pairs, reader = form(), form()
    pairs._network._bias = PlainPairs(pairs.module)  # noqa: SLF001
    reader._network._readers = [PlainReader(block) for block in reader.module.cls_blocks]  # noqa: SLF001
    readable = form()
    readable._network, readable._rows = readable.module, None  # noqa: SLF001
    return {
        "packed": (form(), ()),
        "rectangles of 3072 constituents": (form(rows=3072, feed=3072), ()),
        "rectangles of 12288 constituents": (form(rows=12288, feed=12288), ()),
        "pairs all at once": (form(pairs=WHOLE), ()),
        "pairs by the readable module": (pairs, ()),
        "keys not in steps of 16": (form(), (patch.object(packed, "_STEP", 1),)),
        "biases inside the products": (form(), (patch.object(folding.Product, "__call__", linear),)),
        "keys and values of the class token": (reader, ()),
        "the readable module, sorted batches": (readable, ()),
    }


def way(ours, patches, pool, work):
    """Embed the pool with one thing taken away."""

    def run():
        for each in patches:
            each.start()
        try:
            embed_pool(ours, pool)
        finally:
            for each in patches:
                each.stop()

    return Way(run, work)


def check_equal(card, found, jets):
    """Raises `JetAssayError` where a variant gives other embeddings."""
    expected = found["packed"][0].embed(jets).embedding
    for name, (ours, _) in found.items():
        largest = float(np.abs(ours.embed(jets).embedding - expected).max())
        if not largest <= TOLERANCE:
            raise JetAssayError(f"{card.name}, {name}: embeddings differ by {largest:.1e}; nothing was timed")


def main():
    card = read_card(models_folder() / CARD / "card.toml")
    state = {name: each.clone() for name, each in moved(build_module(card)).state_dict().items()}
    found = variants(card, state)
    pool = pool_of(found["packed"][0].feature_set).take(np.arange(POOL))
    check_equal(card, found, pool.take(np.arange(32)))
    work = flops(card, pool)
    speeds = measure({name: way(*each, pool, work) for name, each in found.items()})
    yield {
        "quantities": [
            quantity("ParT", f"packed / {name}", speeds["packed"], speeds[name], clock="cpu", unit="GFLOP/s")
            for name in speeds
            if name != "packed"
        ]
    }


if __name__ == "__main__":
    program(main)
