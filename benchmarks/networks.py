"""ParT and Sophon, ours and weaver-core's, with the same weights on the same jets; and the peak of the processor."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from benchmarks.rounds import Way

from jetassay.backbones.loading import TorchBackbone, build_module
from jetassay.backbones.padding import pad
from jetassay.backbones.part_flops import nominal_flops
from jetassay.embeddings.batching import Batching
from jetassay.embeddings.threads import usable_cores
from jetassay.errors import JetAssayError
from jetassay.features.batch import InputBatch
from jetassay.features.cutting import between, sort_by_length, split_sorted
from jetassay.features.inputs import compute_inputs
from jetassay.jets.reading import read_chunks
from jetassay.jets.schema import SCHEMAS
from jetassay.progress import Reporter
from jetassay.throughput import benchmark_files

POOL = 2048  # jets that are sorted together
LENGTH = 128  # what weaver's configurations pad to; its network trims a batch to the longest of its jets
ALONE = 64  # jets that weaver takes one by one in a round
SORTED, EVERY = 16, 8  # jets in a sorted batch of weaver's, and which of them are timed
CHECKED = 8  # how many of these are compared before
TOLERANCE = 2e-5
PRODUCT = (1024, 128, 512)
PRODUCTS = 300  # in a round


class Weaver:
    """weaver-core's own module with weights of ours, its last normalisation watched for the embedding."""

    def __init__(self, parameters, state):
        from weaver.nn.model.ParticleTransformer import ParticleTransformer

        self.module = ParticleTransformer(**parameters, trim=True).eval().requires_grad_(requires_grad=False)
        self.module.load_state_dict(state, strict=True)
        self.module.trimmer._counter.fill_(self.module.trimmer.warmup_steps)  # noqa: SLF001 - it trims after some calls

    def ready(self, batch):
        """What the module takes, (J, channels, 128)."""
        jets = pad(batch)
        wider = (0, LENGTH - jets.mask.shape[1])
        arrays = jets.features.transpose(1, 2), jets.p4.transpose(1, 2), jets.mask[:, None]
        return tuple(torch.nn.functional.pad(each, wider).contiguous() for each in arrays)

    def run(self, batches):
        with torch.inference_mode():
            for features, p4, mask in batches:
                self.module(features, v=p4, mask=mask)

    def embed(self, batches):
        """Embeddings (J, D) of all batches."""
        seen = []
        watch = self.module.norm.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
        self.run(batches)
        watch.remove()
        return torch.cat(seen).numpy()


def moved(module, *, seed=1):
    """The module with every parameter and running statistic away from its first value, as training would do."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
        for each in module.modules():
            if isinstance(each, torch.nn.BatchNorm1d):
                each.running_mean.copy_(torch.randn(each.num_features, generator=generator))
                each.running_var.copy_(0.5 + 1.5 * torch.rand(each.num_features, generator=generator))
    return module.eval()


def pool_of(feature_set):
    """`POOL` jets in random order: the simulated ones over and over."""
    parts = []
    for path in benchmark_files(reporter=Reporter(quiet=True)):
        chunks = read_chunks(path, schema=SCHEMAS["jetclass"], needs=feature_set.needs, max_constituents=LENGTH)
        parts += [compute_inputs(feature_set, chunk.jets) for chunk in chunks]
    jets = InputBatch.join(parts)
    return jets.take(np.random.default_rng(0).permutation(np.arange(POOL) % len(jets)))


def embed_pool(backbone, pool, threads=1):
    """As a suite does with the inputs of a pool: sorted by length, in batches, each on one thread."""
    ordered, _ = sort_by_length(pool)
    ranges = split_sorted(ordered, token_budget=Batching().token_budget)
    if threads == 1:
        for each in ranges:
            backbone.embed(between(ordered, *each))
        return
    with ThreadPoolExecutor(threads) as workers:
        list(workers.map(lambda each: backbone.embed(between(ordered, *each)), ranges))


def ways_of(card):
    """Every way to embed the jets with the network of a card. Raises `JetAssayError` where embeddings differ."""
    module = moved(build_module(card))
    state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    ours, short = (TorchBackbone(card, copy_of(card, state), device=torch.device("cpu"), dtype=dtype)
                   for dtype in ("float32", "bfloat16"))  # fmt: skip
    weaver, pool = Weaver(card.parameters, state), pool_of(ours.feature_set)
    ordered, _ = sort_by_length(pool)
    few = [between(ordered, first, first + SORTED) for first in range(0, POOL, SORTED * EVERY)]
    alone = ordered.take(((np.arange(ALONE) + 0.5) * POOL / ALONE).astype(np.int64))
    check_equal(card, ours, weaver, few[:: max(1, len(few) // CHECKED)])
    random = between(pool, 0, 256)

    def peer(*batches):
        ready = [weaver.ready(batch) for batch in batches]
        return Way(lambda: weaver.run(ready), sum(flops(card, batch) for batch in batches))

    def own(backbone, threads=1):
        begin = between(pool, 0, 64)
        return Way(lambda: embed_pool(backbone, pool, threads), flops(card, pool),
                   lambda: embed_pool(backbone, begin, threads))  # fmt: skip

    product, linear = products()
    ways = {
        "product": product,
        "packed": own(ours),
        "linear": linear,
        "weaver-padded-256": peer(random),
        "weaver-one-by-one": peer(*(between(alone, j, j + 1) for j in range(ALONE))),
        "weaver-sorted-16": peer(*few),
        "packed-bf16": own(short),
    }
    return ways | (two_threads(own(ours, 2), weaver, pool, card) if usable_cores() > 1 else {}), flops(
        card, pool
    ) / POOL


def two_threads(packed, weaver, pool, card):
    """On two cores: batches of ours side by side; weaver's operators split by torch, or its batches side by side."""
    batches = [between(pool, first, first + 256) for first in (0, 256)]
    ready, work = [weaver.ready(batch) for batch in batches], [flops(card, batch) for batch in batches]

    def side_by_side():
        with ThreadPoolExecutor(2) as workers:
            list(workers.map(lambda each: weaver.run([each]), ready))

    return {
        "packed-2-threads": packed,
        "weaver-2-threads": Way(lambda: weaver.run(ready[:1]), work[0], operator_threads=2),
        "weaver-2-batches": Way(side_by_side, sum(work)),
    }


def copy_of(card, state):
    module = build_module(card)
    module.load_state_dict(state, strict=True)
    return module


def flops(card, batch):
    return float(nominal_flops(batch.multiplicities, **card.parameters).sum())


def check_equal(card, ours, weaver, batches):
    """Raises `JetAssayError` where embeddings differ: the speed of other numbers is of no interest."""
    found = ours.embed(InputBatch.join(batches)).embedding
    largest = float(np.abs(found - weaver.embed([weaver.ready(batch) for batch in batches])).max())
    print(f"{card.name}: embeddings of {len(found)} jets differ from weaver's by {largest:.1e} at most", flush=True)
    if not largest <= TOLERANCE:  # also where it is not a number
        raise JetAssayError(
            f"{card.name}: an embedding differs from weaver's by {largest:.1e}, more than {TOLERANCE:.0e}; nothing was "
            "timed. Run the tests of backbones/test_packed.py and backbones/test_part.py, which say where"
        )


def products():
    """The fp32 matrix product by both of torch's ways to it; the faster one is the peak."""
    rows, inner, columns = PRODUCT
    one, other, bias = torch.rand(rows, inner), torch.rand(inner, columns), torch.rand(columns)
    turned, work = other.T.contiguous(), 2.0 * rows * inner * columns * PRODUCTS

    def product():
        for _ in range(PRODUCTS):
            torch.mm(one, other)

    def linear():
        for _ in range(PRODUCTS):
            torch.nn.functional.linear(one, turned, bias)

    return Way(product, work), Way(linear, work)
