"""A card becomes a backbone: architecture built, weights in place and frozen, ready to embed."""

from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from jetassay.backbones.card import Card
from jetassay.backbones.padding import pad
from jetassay.backbones.protocol import Layered, Output
from jetassay.backbones.weights import load_strictly, locate_weights, read_state, state_digest
from jetassay.errors import ConfigError, DataError, WeightsError
from jetassay.features.batch import InputBatch
from jetassay.features.recipe import FeatureSet
from jetassay.features.sets import FEATURE_SETS
from jetassay.progress import Reporter

DTYPES = MappingProxyType(
    {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.float32}  # bfloat16: products only
)
_REFUSALS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What code raises that a card's parameters or feature set do not fit."""


class TorchBackbone:
    """A torch module behind the protocol of all backbones.

    The module takes features (J, C, F), p4 (J, C, 4) and mask (J, C), and jet_features (J, G) where the feature set
    has such, and gives embedding (J, D) and logits (J, K) or None. With dtype "bfloat16" weights and sums stay
    float32, and matrix products alone are rounded.
    """

    def __init__(self, card: Card, module: nn.Module, *, device: torch.device, dtype: str) -> None:
        self.card = card
        self.labels = card.label_names
        self.weights_sha256 = state_digest(module)
        self.dtype = dtype
        self.device = device
        self.feature_set: FeatureSet = FEATURE_SETS[card.feature_set]
        self.module = module.to(device=device, dtype=DTYPES[dtype]).eval().requires_grad_(requires_grad=False)
        self._check_layers()
        self._check_widths()

    def embed(self, batch: InputBatch) -> Output:
        """Embed J >= 1 jets in one forward pass, padded to the longest of them.

        Raises `DataError` where the batch is not of this backbone's feature set, or a jet has too many constituents.
        """
        self._check_batch(batch)
        jets = pad(batch, device=self.device, dtype=DTYPES[self.dtype])
        inputs = (jets.features, jets.p4, jets.mask, *((jets.jet_features,) if self.feature_set.jet_width else ()))
        with torch.inference_mode(), self._precision():
            embedding, logits = self._forward(*inputs)
        found = _array(embedding)
        if not np.isfinite(found).all():
            jet = int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])
            raise DataError(
                f"{self.card.name}: the embedding of jet {jet} of the batch is not finite; look at its inputs"
            )
        if logits is None or not self.labels:
            return Output(found, None)
        return Output(found, _array(logits.float().softmax(dim=-1)))

    def _forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        if self.card.inner_layer is None:
            found: tuple[Tensor, Tensor | None] = self.module(*inputs)
            return found
        return cast("Layered", self.module).embed_at(self.card.inner_layer, *inputs), None

    def _precision(self) -> AbstractContextManager[Any]:
        if self.dtype != "bfloat16":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def _check_batch(self, batch: InputBatch) -> None:
        feature_set, card = self.feature_set, self.card
        widths = batch.features.shape[1], batch.jet_features.shape[1]
        if widths != (feature_set.width, feature_set.jet_width):
            raise DataError(
                f"{card.name} takes feature set '{feature_set.name}' ({feature_set.width} features a constituent, "
                f"{feature_set.jet_width} a jet), but the batch has {widths[0]} and {widths[1]}"
            )
        if len(batch) == 0:
            raise DataError(f"{card.name}: a batch needs at least one jet")
        longest = int(batch.multiplicities.max())
        if longest > card.max_constituents:
            raise DataError(
                f"{card.name} takes at most {card.max_constituents} constituents, but a jet has {longest}; "
                "cut them when reading"
            )

    def _check_layers(self) -> None:
        """Every layer that the card names is one of the architecture's, in its width, and the first is the first."""
        named, offered = self.card.layers, dict(getattr(self.module, "layers", {}))
        wrong = [f"{layer} = {width}" for layer, width in named.items() if offered.get(layer) != width]
        if named and not wrong and next(iter(named)) != next(iter(offered)):
            wrong = [f"{next(iter(named))} as the first"]
        if wrong:
            raise ConfigError(
                f"{self.card.name}: `layers` of the card do not fit its architecture: {', '.join(wrong)}; it has "
                f"{', '.join(f'{layer} = {width}' for layer, width in offered.items()) or 'none'}, in this order"
            )

    def _check_widths(self) -> None:
        """One empty jet through the module, so that a card that does not fit its architecture shows at once."""
        card, feature_set = self.card, self.feature_set
        jet = InputBatch(
            np.zeros((1, feature_set.width), np.float32),
            np.zeros((1, 4), np.float32),
            np.array([0, 1]),
            np.zeros((1, feature_set.jet_width), np.float32),
        )
        try:
            found = self.embed(jet)
        except _REFUSALS as error:
            raise ConfigError(
                f"{card.name}: the architecture does not take inputs of feature set '{feature_set.name}' "
                f"({feature_set.width} features a constituent, {feature_set.jet_width} a jet): {error}"
            ) from error
        got = {
            "embedding_dim": found.embedding.shape[1],
            "labels": 0 if found.scores is None else found.scores.shape[1],
        }
        said = {"embedding_dim": card.embedding_dim, "labels": len(self.labels)}
        if got != said:
            raise ConfigError(f"{card.name}: the card says {said}, the architecture gives {got}; correct the card")


def load_backbone(
    card: Card,
    *,
    weights: Path | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    reporter: Reporter | None = None,
) -> TorchBackbone:
    """The card with its weights loaded, frozen, on `device`.

    weights: a file to take instead of the one in the card's folder or the cache; its hash must be the card's
    dtype:   float32, float64, or bfloat16 (matrix products only)
    reporter: who hears that weights were stored in another type

    Random numbers elsewhere are left alone: a control draws its weights from the seed of its card.

    Raises `WeightsError` where weights are missing, not the card's or do not fit, `ConfigError` where the card does
    not fit its architecture or the device is not there.
    """
    if dtype not in DTYPES:
        raise ConfigError(f"there is no dtype '{dtype}'; known: {', '.join(DTYPES)}")
    module = build_module(card)
    if card.weights is not None:
        path = locate_weights(card, given=weights)
        state = read_state(path, prefix=card.weights.prefix)
        load_strictly(module, state, source=f"{card.name}: {path}", reporter=reporter or Reporter())
    elif weights is not None:
        raise WeightsError(f"{card.name} takes no weights, but {weights} was given; leave it out")
    elif card.untrained_twin_of is None and any(True for _ in module.parameters()):
        raise WeightsError(f"{card.name}: the architecture has weights, but the card names none")
    return TorchBackbone(card, module, device=_device(device), dtype=dtype)


def build_module(card: Card) -> nn.Module:
    """The card's architecture with random weights in float32, drawn from the card's seed (0 where it has none)."""
    name, _, function = card.architecture.partition(":")
    try:
        build = getattr(import_module(name), function)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{card.name}: architecture '{card.architecture}' cannot be imported: {error}") from error
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(card.seed or 0)
        try:
            module: nn.Module = build(**card.parameters)
        except _REFUSALS as error:
            raise ConfigError(f"{card.name}: '{card.architecture}' refuses the card's parameters: {error}") from error
    return module


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device '{name}' cannot be used: {str(error).splitlines()[0]}; try 'cpu'") from error
    return device


def _array(tensor: Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    return tensor.float().cpu().numpy()
