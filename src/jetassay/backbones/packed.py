"""Inference of the Particle Transformer, several times as fast as the module that defines it.

`part.ParticleTransformer` is the definition. This is built from it, takes the same arguments and gives the same numbers
to rounding:

- jets come sorted, in rectangles of nearly equal multiplicity, so small that what one step writes the next one finds in
  the cache; `rows` says how many constituents;
- batch normalisations and the scales of attention heads are folded into the matrices beside them;
- the net on pairs sees each pair once, in pieces that stay in the cache; its output is spread to the symmetric bias
  of all layers by one gather;
- attention reads keys in steps of 16, which its kernels are fast at: beyond the end of a jet it reads the next one,
  where the bias is minus infinity;
- the class token is one query, so its projections are applied to it and to the mixture, not to every constituent.

Kinematics and features have one column a pair: gathers and logarithms are fast along the last dimension.
"""

import math
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from jetassay.backbones.dense import masked_mean
from jetassay.backbones.folding import Linear, Norm, batch_norm, gelu_
from jetassay.backbones.pairs import PairEmbed, kinematics, lower_triangle, pair_features
from jetassay.backbones.part import Block, Embed, ParticleTransformer

_STEP = 16  # keys are read in multiples of this


@dataclass(frozen=True, slots=True)
class Sizes:
    """What is worked on at once: constituents of a rectangle; pairs in their net; rows in a feed-forward net."""

    rows: int
    pairs: int
    feed: int


# On a processor a second-level cache of 2 MiB holds what one step hands to the next; elsewhere, enough to fill it.
_PROCESSOR, _ACCELERATOR = Sizes(1024, 3072, 1024), Sizes(1 << 16, 1 << 21, 1 << 16)


class PackedTransformer:
    """A `ParticleTransformer` ready to embed; a copy, which later changes of the module do not reach.

    dtype: of the matrix products: float32, float64, or bfloat16; with bfloat16 all the rest is in float32, but for what
        stands between two products (activations, and the normalisation inside a feed-forward net)
    sizes: what is worked on at once; what suits the device of the module where none are given

    `rows` is how many constituents a rectangle should have for speed; any number is right.
    """

    def __init__(
        self, module: ParticleTransformer, *, dtype: torch.dtype = torch.float32, sizes: Sizes | None = None
    ) -> None:
        rest = torch.float32 if dtype == torch.bfloat16 else dtype
        if sizes is None:
            sizes = _PROCESSOR if module.cls_token.device.type == "cpu" else _ACCELERATOR
        self.rows = sizes.rows
        # Freed at once: from up to 32 MiB glibc learns to keep what is freed, and tables begin without page faults.
        torch.empty(30 << 20, dtype=torch.uint8)
        self._embed = _PackedEmbed(module.embed, dtype, rest)
        self._bias = _PackedPairs(module.pair_embed, dtype, rest, at_once=sizes.pairs)
        self._blocks = [_PackedBlock(block, dtype, rest, at_once=sizes.feed) for block in _blocks(module.blocks)]
        self._readers = [_PackedReader(block, rest, at_once=sizes.feed) for block in _blocks(module.cls_blocks)]
        self._token = module.cls_token.detach().to(rest, copy=True).squeeze(0)
        self._norm = Norm.of(module.norm, rest)
        self._classifier = deepcopy(module.fc).to(rest).eval()

    def __call__(self, features: Tensor, p4: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding (J, D) and logits (J, K) of J jets; arguments as those of the module.

        Padded slots must hold finite numbers, as `pad` leaves them: they are read, and weigh nothing.
        """
        for tokens in self._encode(features, p4, mask):  # noqa: B007 - only the last, and no other kept
            pass
        for token in self._read(tokens, mask):  # noqa: B007
            pass
        embedding = self._norm(token)
        return embedding, self._classifier(embedding)

    def embed_at(self, layer: str, features: Tensor, p4: Tensor, mask: Tensor) -> Tensor:
        """One layer (J, D), by its name in `ParticleTransformer.layers`; those after it are not computed."""
        return next(found for name, found in self._layers(features, p4, mask) if name == layer)

    def embed_layers(self, features: Tensor, p4: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Every layer (J, D) from one pass."""
        return dict(self._layers(features, p4, mask))

    def _layers(self, features: Tensor, p4: Tensor, mask: Tensor) -> Iterator[tuple[str, Tensor]]:
        for k, tokens in enumerate(self._encode(features, p4, mask), start=1):
            yield f"mean-block-{k}", masked_mean(tokens.view(*mask.shape, -1), mask)
        for k, token in enumerate(self._read(tokens, mask), start=1):
            yield f"class-block-{k}", token
        yield "class-token", self._norm(token)

    def _encode(self, features: Tensor, p4: Tensor, mask: Tensor) -> Iterator[Tensor]:
        """Tokens (J * C, D) after each layer of constituents; those of padded slots mean nothing."""
        tokens = self._embed(features.flatten(0, 1))
        bias = self._bias(p4, mask)
        projected = _Projected(tokens, bias)
        for block in self._blocks:
            tokens = block(tokens, bias, projected)
            yield tokens

    def _read(self, tokens: Tensor, mask: Tensor) -> Iterator[Tensor]:
        """The class token (J, D) after each of its layers."""
        token = self._token.expand(len(mask), -1)
        unseen = None if bool(mask.all()) else functional.pad(~mask, (1, 0), value=False)[:, None]
        for reader in self._readers:
            token = reader(token, tokens, unseen)
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
            x = gelu_(linear(norm(x))).to(self._scale.dtype)
        return x


class _PackedPairs:
    """Momenta of jets to the bias of their attention."""

    def __init__(self, module: PairEmbed, dtype: torch.dtype, rest: torch.dtype, *, at_once: int) -> None:
        first, *layers = module.embed
        linears = [
            Linear.of(linear).then(*batch_norm(norm))  # type: ignore[arg-type]
            for linear, norm in zip(layers[::3], layers[1::3], strict=True)
        ]
        linears[0] = linears[0].of_scaled(*batch_norm(first))  # type: ignore[arg-type]
        # The first sees logarithms, whose digits bfloat16 would cut.
        self._inner = [linear.to(rest if k == 0 else dtype) for k, linear in enumerate(linears[:-1])]
        self._last = linears[-1].on_columns(dtype)
        self._last_activation = len(layers) % 3 == 0
        self._rest, self._at_once = rest, at_once

    def __call__(self, p4: Tensor, mask: Tensor) -> Tensor:
        """(J, C, 4) to (J, H, C, K), K being C rounded up to a multiple of 16; minus infinity where there is no key."""
        jets, n = mask.shape
        keys = -(-n // _STEP) * _STEP
        one, other, spread = lower_triangle(n, keys, device=p4.device)
        known = kinematics(p4).view(-1, n)
        x = pair_features(*(known.index_select(1, each).view(7, -1) for each in (one, other)))
        found = torch.cat([self._net(each) for each in torch.split(x, self._at_once, dim=1)], dim=1)
        bias = found.view(-1, len(one)).index_select(1, spread).view(-1, jets, n, keys)
        shortest = int(mask.sum(dim=1).min())
        unseen = ~functional.pad(mask[:, shortest:], (0, keys - n), value=False)
        bias[..., shortest:].masked_fill_(unseen[:, None], -math.inf)
        return bias.transpose(0, 1)

    def _net(self, x: Tensor) -> Tensor:
        """Features of pairs (4, P) to (H, P)."""
        x = x.T
        for linear in self._inner:
            x = gelu_(linear(x))
        matrix, bias = self._last
        found = torch.mm(matrix, x.to(matrix.dtype).T).add_(bias)
        return (gelu_(found) if self._last_activation else found).to(self._rest)


class _PackedFeed:
    """The feed-forward net of a layer, with its residual.

    The normalisation in its middle is part of the matrix after it, but for a factor of each row. In bfloat16 it stands
    apart: rounded numbers have no exact mean.
    """

    def __init__(self, block: Block, dtype: torch.dtype, rest: torch.dtype, *, at_once: int) -> None:
        self._before, self._after = Norm.of(block.pre_fc_norm, rest), Norm.of(block.post_fc_norm, dtype)
        self._widen, narrow = Linear.of(block.fc1).to(dtype), Linear.of(block.fc2)
        self._apart = dtype == torch.bfloat16
        if not self._apart:
            narrow = narrow.of_scaled(self._after.weight.double(), self._after.bias.double()).of_centred()
        self._narrow, self._shift = narrow.without_bias().to(dtype), narrow.bias.to(rest)
        self._residual = block.w_resid.detach().to(rest, copy=True)
        self._at_once = at_once

    def __call__(self, x: Tensor) -> Tensor:
        if len(x) > self._at_once:
            return torch.cat([self(rows) for rows in torch.split(x, self._at_once)])
        hidden = gelu_(self._widen(self._before(x)))
        rest = torch.addcmul(self._shift, x, self._residual)
        if self._apart:
            return rest.add_(self._narrow(self._after(hidden)))
        return rest.addcmul_(self._narrow(hidden), self._after.factor(hidden))


class _PackedBlock:
    """One layer of constituents."""

    def __init__(self, block: Block, dtype: torch.dtype, rest: torch.dtype, *, at_once: int) -> None:
        self._before, self._after = Norm.of(block.pre_attn_norm, rest), Norm.of(block.post_attn_norm, rest)
        project, out = Linear.of(block.attn.in_proj), Linear.of(block.attn.out_proj).then(_of_heads(block))
        query, _, value = project.bias.chunk(3)
        # A bias of the keys adds the same to all logits of a query, and one of the values adds itself to any mixture.
        self._project, self._query = project.without_bias().to(dtype), query.to(rest)
        self._out = out.of_shifted(value).to(dtype)
        self._feed = _PackedFeed(block, dtype, rest, at_once=at_once)

    def __call__(self, tokens: Tensor, bias: Tensor, projected: "_Projected") -> Tensor:
        """Tokens (J * C, D) to tokens; what `projected` held is overwritten."""
        self._project.into(projected.rows, self._before(tokens))
        projected.queries.add_(self._query)
        query, key, value = projected.heads
        mixed = functional.scaled_dot_product_attention(query, key, value, bias).transpose(1, 2)
        found = self._out(mixed.reshape(tokens.shape)).to(tokens.dtype)
        return self._feed(self._after(found).add_(tokens))


class _Projected:
    """Query, key and value of each constituent, one table for all layers.

    `rows` (J * C, 3 D), `queries` (J * C, D) of them; `heads`: query (J, H, C, D / H), key and value (J, H, K, D / H)
    """

    def __init__(self, tokens: Tensor, bias: Tensor) -> None:
        jets, heads, n, keys = bias.shape
        rows, width = tokens.shape
        # The rows at the end are read as keys of the last jet, and never used; but NaN would spread.
        table = tokens.new_zeros(rows + keys - n, 3 * width)
        self.rows, self.queries = table[:rows], table[:rows, :width]
        own, many = width // heads, (n, keys, keys)
        strides = n * 3 * width, own, 3 * width, 1
        self.heads = [table.as_strided((jets, heads, many[k], own), strides, k * width) for k in range(3)]


class _PackedReader:
    """One layer of the class token."""

    def __init__(self, block: Block, rest: torch.dtype, *, at_once: int) -> None:
        whole = Linear.of(block.attn.in_proj)
        query, key, value = whole.weight.chunk(3)
        heads, width = block.attn.heads, query.shape[0]
        self._query = (
            Linear(query, whole.bias.chunk(3)[0])
            .then(torch.full((width,), (width // heads) ** -0.5, dtype=torch.float64, device=query.device))
            .to(rest)
        )
        # A bias of the keys adds the same to every logit of a query, which changes no softmax.
        self._key = key.view(heads, -1, width).to(rest).contiguous()
        self._value = value.view(heads, -1, width).to(rest).contiguous()
        self._value_bias = whole.bias.chunk(3)[2].to(rest)
        self._out = Linear.of(block.attn.out_proj).then(_of_heads(block)).to(rest)
        self._before, self._after = Norm.of(block.pre_attn_norm, rest), Norm.of(block.post_attn_norm, rest)
        self._feed = _PackedFeed(block, rest, rest, at_once=at_once)

    def __call__(self, token: Tensor, tokens: Tensor, unseen: Tensor | None) -> Tensor:
        """Class tokens (J, D), having looked at themselves and at the tokens (J * C, D) of their jets.

        unseen: bool (J, 1, 1 + C), True where there is nothing to look at; None where there is no such slot
        """
        own, seen = self._before(token), self._before(tokens)
        query = self._query(token).view(len(token), len(self._key), -1)
        asked = torch.einsum("jhc,hcd->jhd", query, self._key)
        context = torch.cat((own[:, None], seen.view(len(token), -1, seen.shape[1])), dim=1)
        logits = torch.bmm(asked, context.transpose(1, 2))
        if unseen is not None:
            logits = logits.masked_fill_(unseen, -math.inf)
        mixture = torch.bmm(logits.softmax(dim=-1), context)
        value = torch.einsum("jhd,hcd->jhc", mixture, self._value).flatten(1) + self._value_bias
        return self._feed(token + self._after(self._out(value)))


def _blocks(layers: Iterable[nn.Module]) -> list[Block]:
    """The layers as what they are; one that is something else must not be passed over."""
    found = [layer for layer in layers if isinstance(layer, Block)]
    assert len(found) == len(list(layers))
    return found


def _of_heads(block: Block) -> Tensor:
    """The scale of each column of the attention's output, float64 (D,)."""
    scale = block.c_attn.detach().double()
    return scale.repeat_interleave(block.attn.out_proj.out_features // len(scale))
