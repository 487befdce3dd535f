"""Particle Transformer, as published for JetClass and, with other parameters, as Sophon.

ParT: Qu, Li, Qian, arXiv:2202.03772; Sophon: Li et al., arXiv:2405.12972. This module is the readable
reference: every step stands here in the order of the paper, and names of layers equal those of the official
checkpoints, so that their state dictionaries load strictly. It serves training and inference alike.

Two things differ from the published training code, neither of them in inference: the batch normalisations see
real constituents only (not padding), and no constituent is dropped or shuffled to save time.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from jetassay.backbones.dense import Dropout, drop, masked_mean
from jetassay.backbones.pairs import PairEmbed
from jetassay.errors import ConfigError

if TYPE_CHECKING:
    from jetassay.backbones.packed import PackedTransformer


class Embed(nn.Module):
    """Constituent features to tokens, for real constituents laid end to end."""

    def __init__(self, input_dim: int, dims: Sequence[int]) -> None:
        super().__init__()
        self.input_bn = nn.BatchNorm1d(input_dim)
        layers: list[nn.Module] = []
        for before, after in pairwise((input_dim, *dims)):
            layers += [nn.LayerNorm(before), nn.Linear(before, after), nn.GELU()]
        self.embed = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, F) to tokens (N, D)."""
        tokens: Tensor = self.embed(self.input_bn(features))
        return tokens


class Attention(nn.Module):
    """Multi-head attention with a bias on the logits and one fused projection of query, key and value."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        if dim % heads:
            raise ConfigError(f"num_heads = {heads} does not divide the embedding dimension {dim}")
        self.heads, self.dropout = heads, dropout
        self.in_proj = nn.Linear(dim, 3 * dim)
        self.out_proj = nn.Linear(dim, dim)

    def forward(self, query: Tensor, context: Tensor, bias: Tensor) -> Tensor:
        """`query` (J, Q, D) looks at `context` (J, K, D).

        bias: (J, H or 1, Q or 1, K), -inf where there is nothing to look at. Where the query is the context
        itself, the three projections are one product.
        """
        if query is context:
            q, k, v = self.in_proj(query).chunk(3, dim=-1)
        else:
            weights, biases = self.in_proj.weight.chunk(3), self.in_proj.bias.chunk(3)
            sources = (query, context, context)
            q, k, v = (functional.linear(*each) for each in zip(sources, weights, biases, strict=True))
        # (J, Q, D) -> (J, H, Q, D / H)
        q, k, v = (each.view(*each.shape[:2], self.heads, -1).transpose(1, 2) for each in (q, k, v))
        mixed = self._mix(q, k, v, bias.to(q.dtype))
        out: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return out

    def _mix(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        """Values (J, H, K, D / H) in the shares that queries (J, H, Q, D / H) give to keys, (J, H, Q, D / H)."""
        if not self.training:
            return functional.scaled_dot_product_attention(q, k, v, bias)
        shares = (q @ k.transpose(2, 3) * q.shape[-1] ** -0.5 + bias).softmax(dim=-1)
        return drop(shares, self.dropout) @ v


class Block(nn.Module):
    """One layer: attention with a scale per head, then a feed-forward net, each between two normalisations.

    The same block serves constituents (each looks at all) and the class token (arXiv:2103.17239), whose query
    is the token as it stands: only what it looks at is normalised.
    """

    def __init__(self, dim: int, heads: int, *, hidden: int, dropout: float) -> None:
        super().__init__()
        self.pre_attn_norm = nn.LayerNorm(dim)
        self.attn = Attention(dim, heads, dropout)
        self.c_attn = nn.Parameter(torch.ones(heads))
        self.post_attn_norm = nn.LayerNorm(dim)
        self.pre_fc_norm = nn.LayerNorm(dim)
        self.fc1 = nn.Linear(dim, hidden)
        self.post_fc_norm = nn.LayerNorm(hidden)
        self.fc2 = nn.Linear(hidden, dim)
        self.w_resid = nn.Parameter(torch.ones(dim))
        self.dropout = Dropout(dropout)

    def forward(self, tokens: Tensor, bias: Tensor, seen: Tensor | None = None) -> Tensor:
        """Tokens (J, Q, D) to tokens.

        Without `seen` the tokens are constituents and look at one another; `bias` is (J, H, Q, Q). Otherwise
        they are the class token (J, 1, D), which looks at itself and at `seen` (J, C, D); `bias` is
        (J, 1, 1, 1 + C).
        """
        if seen is None:
            query = context = self.pre_attn_norm(tokens)
        else:
            query, context = tokens, self.pre_attn_norm(torch.cat((tokens, seen), dim=1))
        mixed = self.attn(query, context, bias)
        scaled = mixed.view(*mixed.shape[:2], len(self.c_attn), -1) * self.c_attn[:, None]
        x = tokens + self.dropout(self.post_attn_norm(scaled.flatten(2)))
        hidden = self.dropout(functional.gelu(self.fc1(self.pre_fc_norm(x))))
        out: Tensor = self.w_resid * x + self.dropout(self.fc2(self.post_fc_norm(hidden)))
        return out


class ParticleTransformer(nn.Module):
    """ParT: embedded constituents, attention biased by pair features, a class token that reads them out.

    input_dim, num_classes:  F and K
    embed_dims:              widths of the embedding; the last is D
    pair_embed_dims:         widths of the net on pair features, before one output per head
    ffn_ratio:               hidden width of each feed-forward net, in units of D
    fc_params:               (width, dropout) of each hidden layer of the classifier
    use_pre_activation_pair: take the bias before the last activation; no checkpoint records this, and the
                             wrong value changes every output silently
    dropout:                 in attention, activations and residuals of the constituents' layers; the class
                             token's layers have none

    The defaults are those of the published JetClass networks (arXiv:2202.03772, section 4).
    """

    renamed: ClassVar[Mapping[str, str]] = {
        "in_proj_weight": "in_proj.weight",
        "in_proj_bias": "in_proj.bias",
    }
    """Endings of names in checkpoints from before weaver-core 0.5, and what they are called now."""

    def __init__(  # noqa: PLR0913 - published hyper-parameters; a card names those it changes
        self,
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
        use_pre_activation_pair: bool = False,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        dim = embed_dims[-1]
        self.embed = Embed(input_dim, embed_dims)
        self.pair_embed = PairEmbed((*pair_embed_dims, num_heads), last_activation=not use_pre_activation_pair)
        self.blocks = nn.ModuleList(
            Block(dim, num_heads, hidden=ffn_ratio * dim, dropout=dropout) for _ in range(num_layers)
        )
        self.cls_blocks = nn.ModuleList(
            Block(dim, num_heads, hidden=ffn_ratio * dim, dropout=0.0) for _ in range(num_cls_layers)
        )
        self.norm = nn.LayerNorm(dim)
        self.fc = _classifier(dim, fc_params, num_classes)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        blocks = [f"mean-block-{k + 1}" for k in range(num_layers)]
        self.layers = dict.fromkeys(["class-token", *blocks, *_class_blocks(num_cls_layers)], dim)
        self._initialise()

    def forward(self, features: Tensor, p4: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding (J, D), the class token after the last normalisation, and logits (J, K) of J jets.

        features (J, C, F) after the feature set; p4 (J, C, 4), (px, py, pz, E) in GeV; mask bool (J, C), True
        where there is a constituent, at least one in each jet. What stands in padded slots is never read.
        """
        embedding = self.read_out(self.encode(features, p4, mask), mask)
        return embedding, self.fc(embedding)

    def embed_at(self, layer: str, features: Tensor, p4: Tensor, mask: Tensor) -> Tensor:
        """`mean-block-K`: the mean (J, D) over constituents of what the K-th layer of constituents gives, K from 1.

        `class-block-K`: the class token (J, D) after the K-th layer that reads the constituents.
        """
        if layer.startswith("class-block-"):
            blocks = int(layer.removeprefix("class-block-"))
            return self.read(self.encode(features, p4, mask), mask, blocks=blocks)[-1]
        tokens = self.encode(features, p4, mask, blocks=int(layer.removeprefix("mean-block-")))
        return masked_mean(tokens, mask)

    def embed_layers(self, features: Tensor, p4: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Every layer of `layers` (J, D) from one pass."""
        tokens, bias = self.begin(features, p4, mask)
        found: dict[str, Tensor] = {}
        for k, block in enumerate(self.blocks):
            tokens = block(tokens, bias)
            found[f"mean-block-{k + 1}"] = masked_mean(tokens, mask)
        class_tokens = self.read(tokens, mask)
        found |= dict(zip(_class_blocks(len(self.cls_blocks)), class_tokens[1:], strict=True))
        return found | {"class-token": self.norm(class_tokens[-1])}

    def encode(self, features: Tensor, p4: Tensor, mask: Tensor, *, blocks: int | None = None) -> Tensor:
        """Tokens (J, C, D) after the last layer, or after the first `blocks`; those of padded slots mean nothing."""
        tokens, bias = self.begin(features, p4, mask)
        for block in list(self.blocks)[:blocks]:
            tokens = block(tokens, bias)
        return tokens

    def begin(self, features: Tensor, p4: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (J, C, D) before the first layer, and the bias (J, H, C, C) on the attention of all layers."""
        rows = self.embed(features[mask])
        tokens: Tensor = rows.new_zeros(*mask.shape, rows.shape[-1]).masked_scatter(mask[..., None], rows)
        return tokens, self.pair_embed(p4, mask).masked_fill(~mask[:, None, None, :], -math.inf)

    def read_out(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """The class token (J, D) after it has read the tokens (J, C, D), normalised."""
        embedding: Tensor = self.norm(self.read(tokens, mask)[-1])
        return embedding

    def read(self, tokens: Tensor, mask: Tensor, *, blocks: int | None = None) -> list[Tensor]:
        """The class token (J, D) before and after each of its layers, all or the first `blocks`."""
        seen = functional.pad(mask, (1, 0), value=True)
        bias = tokens.new_zeros(seen.shape).masked_fill(~seen, -math.inf)[:, None, None, :]
        token = self.cls_token.expand(tokens.shape[0], -1, -1)  # not len(): exported files keep it as a number
        found = [token.squeeze(1)]
        for block in list(self.cls_blocks)[:blocks]:
            token = block(token, bias, tokens)
            found.append(token.squeeze(1))
        return found

    def packed(self, dtype: torch.dtype) -> "PackedTransformer":
        """The same network ready to embed, faster; matrix products in `dtype`."""
        from jetassay.backbones.packed import PackedTransformer

        return PackedTransformer(self, dtype=dtype)

    @torch.no_grad()
    def _initialise(self) -> None:
        """Xavier-uniform weights (query, key and value one by one), zero biases, layers damped by their depth.

        After MoCo v3 (arXiv:2104.02057) and BEiT (arXiv:2106.08254), as in weaver-core 0.5.
        """
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear):
                parts = module.weight.chunk(3) if name.endswith("in_proj") else (module.weight,)
                for part in parts:
                    nn.init.xavier_uniform_(part)
                nn.init.zeros_(module.bias)
        for depth, block in enumerate(self.blocks, start=1):
            assert isinstance(block, Block)
            for layer in (block.attn.out_proj, block.fc2):
                layer.weight /= math.sqrt(2.0 * depth)
        nn.init.trunc_normal_(self.cls_token, std=0.02)


def _class_blocks(layers: int) -> list[str]:
    return [f"class-block-{k + 1}" for k in range(layers)]


def _classifier(dim: int, hidden: Sequence[tuple[int, float]], num_classes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width, dropout in hidden:
        layers.append(nn.Sequential(nn.Linear(dim, width), nn.ReLU(), nn.Dropout(dropout)))
        dim = width
    return nn.Sequential(*layers, nn.Linear(dim, num_classes))


def build(**parameters: Any) -> ParticleTransformer:
    """What a card's `architecture` names; the parameters are those of `ParticleTransformer`."""
    return ParticleTransformer(**parameters)
