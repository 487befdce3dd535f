"""Inference of the Particle Transformer on real constituents and real pairs only, in plain operations of PyTorch.

`part.ParticleTransformer` is the definition. This is built from it and gives the same numbers to rounding, faster:

- jets of equal multiplicity are worked on together, so that nothing is padded or masked;
- batch normalisations and the scales of attention heads are folded into the matrices beside them;
- the net on pairs sees each pair once, in pieces that stay in the cache, and its output is spread to the symmetric bias
  of all layers by one gather;
- attention reads keys in steps of 16, which its kernels are fast at: beyond the end of a jet it reads the next one,
  where the bias is minus infinity;
- the class token is one query, so its projections are applied to it and to the mixture, not to every constituent.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from jetassay.backbones.folding import Linear, Norm, batch_norm
from jetassay.backbones.pairs import PairEmbed, kinematics, pair_features
from jetassay.backbones.part import Block, Embed, ParticleTransformer

_STEP = 16  # keys are read in multiples of this
_ROWS = 1536  # constituents at once: 3 MiB at 512 columns; half and twice as many cost 5 to 10 % more
_PAIRS = 8192  # pairs that go through the net at once: 2 MiB at 64 columns, a second-level cache


@dataclass(frozen=True, slots=True)
class Run:
    """Jets first:last of a batch, which all have `n` constituents and own the rows start:stop."""

    first: int
    last: int
    start: int
    n: int

    @property
    def jets(self) -> int:
        """How many."""
        return self.last - self.first

    @property
    def stop(self) -> int:
        """The row after the last."""
        return self.start + self.jets * self.n

    def of(self, table: Tensor) -> Tensor:
        """Its rows of a table (N, D), as (jets, n, D)."""
        return table[self.start : self.stop].view(self.jets, self.n, -1)


def runs_of(multiplicities: Sequence[int]) -> tuple[Run, ...]:
    """The runs of equal multiplicities, in order; few where jets stand sorted."""
    steps = [j for j, (before, after) in enumerate(pairwise(multiplicities), start=1) if before != after]
    runs: list[Run] = []
    for first, last in pairwise((0, *steps, len(multiplicities))):
        runs.append(Run(first, last, runs[-1].stop if runs else 0, multiplicities[first]))
    return tuple(runs)


class PackedTransformer:
    """A `ParticleTransformer` ready to embed; a copy, which later changes of the module do not reach.

    dtype: of the matrix products: float32, float64, or bfloat16; with bfloat16 all the rest is in float32
    """

    def __init__(self, module: ParticleTransformer, *, dtype: torch.dtype = torch.float32) -> None:
        rest = torch.float32 if dtype == torch.bfloat16 else dtype
        self._embed = _PackedEmbed(module.embed, dtype, rest)
        self._bias = _PackedPairs(module.pair_embed, dtype, rest)
        self._blocks = [_PackedBlock(block, dtype, rest) for block in module.blocks if isinstance(block, Block)]
        self._readers = [_PackedReader(block, rest) for block in module.cls_blocks if isinstance(block, Block)]
        self._token = module.cls_token.detach().to(rest, copy=True).squeeze(0)
        self._norm = Norm.of(module.norm, rest)
        self._classifier = module.fc

    def pieces(self, multiplicities: Sequence[int]) -> list[tuple[int, int]]:
        """Ranges first:last of jets with some 1500 constituents, one jet at least: what stays in the cache."""
        ends = np.cumsum(multiplicities)
        found, first = [], 0
        while first < len(ends):
            limit = _ROWS + (ends[first - 1] if first else 0)
            last = max(int(np.searchsorted(ends, limit, side="right")), first + 1)
            found.append((first, last))
            first = last
        return found

    def __call__(self, features: Tensor, p4: Tensor, multiplicities: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Embedding (J, D) and logits (J, K) of J jets laid end to end: features (N, F), p4 (N, 4) in GeV."""
        runs = runs_of(multiplicities)
        for tokens in self._encode(features, p4, runs):  # noqa: B007 - only the last, and no other kept
            pass
        for token in self._read(tokens, runs):  # noqa: B007
            pass
        embedding = self._norm(token)
        return embedding, self._classifier(embedding)

    def embed_at(self, layer: str, features: Tensor, p4: Tensor, multiplicities: Sequence[int]) -> Tensor:
        """One layer (J, D), by its name in `ParticleTransformer.layers`; those after it are not computed."""
        return next(found for name, found in self._layers(features, p4, runs_of(multiplicities)) if name == layer)

    def embed_layers(self, features: Tensor, p4: Tensor, multiplicities: Sequence[int]) -> dict[str, Tensor]:
        """Every layer (J, D) from one pass."""
        return dict(self._layers(features, p4, runs_of(multiplicities)))

    def _layers(self, features: Tensor, p4: Tensor, runs: Sequence[Run]) -> Iterator[tuple[str, Tensor]]:
        for k, tokens in enumerate(self._encode(features, p4, runs), start=1):
            yield f"mean-block-{k}", torch.cat([run.of(tokens).mean(dim=1) for run in runs])
        for k, token in enumerate(self._read(tokens, runs), start=1):
            yield f"class-block-{k}", token
        yield "class-token", self._norm(token)

    def _encode(self, features: Tensor, p4: Tensor, runs: Sequence[Run]) -> Iterator[Tensor]:
        """Tokens (N, D) after each layer of constituents."""
        tokens = self._embed(features)
        biases = [self._bias(run.of(p4)) for run in runs]
        for block in self._blocks:
            tokens = block(tokens, runs, biases)
            yield tokens

    def _read(self, tokens: Tensor, runs: Sequence[Run]) -> Iterator[Tensor]:
        """The class token (J, D) after each of its layers."""
        token = self._token.expand(runs[-1].last, -1)
        for reader in self._readers:
            token = reader(token, tokens, runs)
            yield token


class _PackedEmbed:
    """Features (N, F) to tokens (N, D)."""

    def __init__(self, module: Embed, dtype: torch.dtype, rest: torch.dtype) -> None:
        self._scale, self._shift = (each.to(rest) for each in batch_norm(module.input_bn))
        layers = list(module.embed)
        self._steps = [
            (Norm.of(norm, rest), Linear.of(linear).to(dtype))  # type: ignore[arg-type]
            for norm, linear in zip(layers[::3], layers[1::3], strict=True)
        ]

    def __call__(self, features: Tensor) -> Tensor:
        x = torch.addcmul(self._shift, features, self._scale)
        for norm, linear in self._steps:
            x = functional.gelu(linear(norm(x))).to(self._scale.dtype)
        return x


class _PackedPairs:
    """Momenta of jets of equal multiplicity to the bias of their attention."""

    def __init__(self, module: PairEmbed, dtype: torch.dtype, rest: torch.dtype) -> None:
        first, *layers = module.embed
        linears = [
            Linear.of(linear).then(*batch_norm(norm))  # type: ignore[arg-type]
            for linear, norm in zip(layers[::3], layers[1::3], strict=True)
        ]
        linears[0] = linears[0].of_scaled(*batch_norm(first))  # type: ignore[arg-type]
        # The first sees logarithms, whose digits bfloat16 would cut.
        self._inner = [linear.to(rest if k == 0 else dtype) for k, linear in enumerate(linears[:-1])]
        self._last = linears[-1].to(dtype)
        self._last_activation = len(layers) % 3 == 0
        self._rest = rest

    def __call__(self, p4: Tensor) -> Tensor:
        """(J, C, 4) to (J, H, C, K), K being C rounded up to a multiple of 16; minus infinity beyond C."""
        jets, n = p4.shape[:2]
        keys = -(-n // _STEP) * _STEP
        one, other, spread = _lower_triangle(n, keys, p4.device)
        pairs, heads = len(one), len(self._last.bias)
        # Tables of two dimensions throughout: gathers along the second are several times as fast as in three.
        known = kinematics(p4.flatten(0, 1)).view(jets, n, -1).permute(2, 0, 1)
        found = p4.new_full((heads, jets, pairs + 1), -math.inf)
        at_once = max(1, _PAIRS // pairs)
        for start in range(0, jets, at_once):
            some = known[:, start : start + at_once]
            columns, rows = len(some), some.reshape(-1, n)
            x = self._net(*(rows.index_select(1, each).view(columns, -1) for each in (one, other)))
            found[:, start : start + at_once, :pairs] = x.view(heads, -1, pairs)
        bias = found.view(heads * jets, -1).index_select(1, spread)
        return bias.view(heads, jets, n, keys).transpose(0, 1)

    def _net(self, one: Tensor, other: Tensor) -> Tensor:
        """Rows of `kinematics` as columns, (7, P), to (H, P)."""
        x = pair_features(one.T, other.T)
        for linear in self._inner:
            x = functional.gelu(linear(x))
        found = torch.mm(self._last.matrix.T, x.to(self._last.matrix.dtype).T).add_(self._last.bias[:, None])
        return (functional.gelu(found) if self._last_activation else found).to(self._rest)


@lru_cache(maxsize=256)
def _lower_triangle(n: int, keys: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """The members of each of P pairs, a constituent with itself included; and of (n, keys) the pair, P beyond n."""
    one, other = torch.tril_indices(n, n, device=device)
    spread = torch.full((n, keys), len(one), device=device)
    spread[one, other] = spread[other, one] = torch.arange(len(one), device=device)
    return one.contiguous(), other.contiguous(), spread.flatten()


class _PackedFeed:
    """The feed-forward net of a layer, with its residual."""

    def __init__(self, block: Block, dtype: torch.dtype, rest: torch.dtype) -> None:
        self._before, self._after = Norm.of(block.pre_fc_norm, rest), Norm.of(block.post_fc_norm, rest)
        self._widen, self._narrow = Linear.of(block.fc1).to(dtype), Linear.of(block.fc2).to(dtype)
        self._residual = block.w_resid.detach().to(rest, copy=True)

    def __call__(self, x: Tensor) -> Tensor:
        hidden = functional.gelu(self._widen(self._before(x)))
        out = self._narrow(self._after(hidden.to(x.dtype)))
        return torch.addcmul(out.to(x.dtype), x, self._residual)


class _PackedBlock:
    """One layer of constituents."""

    def __init__(self, block: Block, dtype: torch.dtype, rest: torch.dtype) -> None:
        self._heads = block.attn.heads
        self._before, self._after = Norm.of(block.pre_attn_norm, rest), Norm.of(block.post_attn_norm, rest)
        self._project = Linear.of(block.attn.in_proj).to(dtype)
        self._out = Linear.of(block.attn.out_proj).then(_of_heads(block)).to(dtype)
        self._feed = _PackedFeed(block, dtype, rest)

    def __call__(self, tokens: Tensor, runs: Sequence[Run], biases: Sequence[Tensor]) -> Tensor:
        """Tokens (N, D) to tokens."""
        rows, width = tokens.shape
        projected = tokens.new_empty(rows + _STEP - 1, 3 * width)
        self._project.into(projected[:rows], self._before(tokens))
        projected[rows:] = 0  # read as keys of the last jet, and never used; but NaN would spread
        mixed = [self._attend(projected, run, bias) for run, bias in zip(runs, biases, strict=True)]
        x = self._after(self._out(mixed[0] if len(mixed) == 1 else torch.cat(mixed)).to(tokens.dtype)).add_(tokens)
        return self._feed(x)

    def _attend(self, projected: Tensor, run: Run, bias: Tensor) -> Tensor:
        """What the jets of one run take from one another, (rows, D)."""
        width = projected.shape[1] // 3
        shape = run.jets, self._heads, run.n, width // self._heads
        strides = run.n * projected.stride(0), shape[3], projected.stride(0), 1
        begin = run.start * projected.stride(0)
        query = projected.as_strided(shape, strides, begin)
        keys, values = (
            projected.as_strided((*shape[:2], bias.shape[3], shape[3]), strides, begin + k * width) for k in (1, 2)
        )
        mixed = functional.scaled_dot_product_attention(query, keys, values, bias)
        return mixed.transpose(1, 2).reshape(-1, width)


class _PackedReader:
    """One layer of the class token."""

    def __init__(self, block: Block, rest: torch.dtype) -> None:
        whole = Linear.of(block.attn.in_proj)
        query, key, value = whole.weight.chunk(3)
        heads, width = block.attn.heads, query.shape[0]
        self._query = (
            Linear(query, whole.bias.chunk(3)[0])
            .then(torch.full((width,), (width // heads) ** -0.5, dtype=torch.float64))
            .to(rest)
        )
        # A bias of the keys adds the same to every logit of a query, which changes no softmax.
        self._key = key.view(heads, -1, width).to(rest).contiguous()
        self._value = value.view(heads, -1, width).to(rest).contiguous()
        self._value_bias = whole.bias.chunk(3)[2].to(rest)
        self._out = Linear.of(block.attn.out_proj).then(_of_heads(block)).to(rest)
        self._before, self._after = Norm.of(block.pre_attn_norm, rest), Norm.of(block.post_attn_norm, rest)
        self._feed = _PackedFeed(block, rest, rest)

    def __call__(self, token: Tensor, tokens: Tensor, runs: Sequence[Run]) -> Tensor:
        """Class tokens (J, D), having looked at themselves and at the tokens (N, D) of their jets."""
        own, seen = self._before(token), self._before(tokens)
        query = self._query(token).view(len(token), len(self._key), -1)
        asked = torch.einsum("jhc,hcd->jhd", query, self._key)
        mixtures = []
        for run in runs:
            context = torch.cat((own[run.first : run.last, None], run.of(seen)), dim=1)
            shares = torch.bmm(asked[run.first : run.last], context.transpose(1, 2)).softmax(dim=-1)
            mixtures.append(torch.bmm(shares, context))
        value = torch.einsum("jhd,hcd->jhc", torch.cat(mixtures), self._value).flatten(1) + self._value_bias
        return self._feed(token + self._after(self._out(value)))


def _of_heads(block: Block) -> Tensor:
    """The scale of each column of the attention's output, float64 (D,)."""
    scale = block.c_attn.detach().double()
    return scale.repeat_interleave(block.attn.out_proj.out_features // len(scale))
