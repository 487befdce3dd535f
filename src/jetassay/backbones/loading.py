"""A card becomes a backbone: architecture built, weights in place and frozen, ready to embed."""

from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from jetassay.backbones.architecture import call_architecture, find_architecture
from jetassay.backbones.card import ALL_LAYERS, Card
from jetassay.backbones.checks import check_batch, check_finite, check_widths
from jetassay.backbones.feature_sets import feature_set_of
from jetassay.backbones.padding import pad
from jetassay.backbones.precision import exact_float32
from jetassay.backbones.protocol import Backbone, Output
from jetassay.backbones.weights import load_strictly, locate_weights, read_state, state_digest
from jetassay.errors import ConfigError, WeightsError
from jetassay.features.batch import InputBatch
from jetassay.features.cutting import between, sort_by_length, split_sorted
from jetassay.features.recipe import FeatureSet
from jetassay.progress import Reporter

DTYPES = MappingProxyType(
    {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.float32}  # bfloat16: products only
)


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
        self.feature_set: FeatureSet = feature_set_of(card)
        self.module = module.to(device=device, dtype=DTYPES[dtype]).eval().requires_grad_(requires_grad=False)
        self._network = self._fast_form()
        self._rows: int | None = getattr(self._network, "rows", None)
        self._check_layers()
        check_widths(self)

    def embed(self, batch: InputBatch) -> Output:
        """Embed J >= 1 jets, padded to the longest of them; in rectangles of few constituents where that is faster.

        Raises `DataError` where the batch is not of this backbone's feature set, or a jet has too many constituents.
        """
        check_batch(self, batch)
        with torch.inference_mode(), exact_float32(), self._precision():
            embedding, logits = self._forward(batch) if self._rows is None else self._by_rectangles(batch, self._rows)
        found = _array(embedding)
        check_finite(self.card, found)
        if logits is None or not self.labels:
            return Output(found, None)
        return Output(found, _array(logits.float().softmax(dim=-1)))

    def _by_rectangles(self, batch: InputBatch, rows: int) -> tuple[Tensor, Tensor | None]:
        jets, order = sort_by_length(batch)
        parts = [self._forward(between(jets, *each)) for each in split_sorted(jets, token_budget=rows)]
        back = torch.from_numpy(np.argsort(order)).to(self.device)
        logits = [part for _, part in parts if part is not None]
        return torch.cat([part for part, _ in parts])[back], torch.cat(logits)[back] if logits else None

    def _forward(self, batch: InputBatch) -> tuple[Tensor, Tensor | None]:
        """What the card asks of the network: `Layered`, in its own form or packed."""
        jets = pad(batch, device=self.device, dtype=DTYPES[self.dtype])
        inputs = (jets.features, jets.p4, jets.mask, *((jets.jet_features,) if self.feature_set.jet_width else ()))
        network: Any = self._network
        if self.card.inner_layer is None:
            found: tuple[Tensor, Tensor | None] = network(*inputs)
            return found
        if self.card.inner_layer != ALL_LAYERS:
            return network.embed_at(self.card.inner_layer, *inputs), None
        layers = network.embed_layers(*inputs)
        return torch.cat([layers[name] for name in self.card.layers], dim=1), None

    def _fast_form(self) -> Any:
        """The network as it embeds: packed, where the architecture has such a form."""
        pack = getattr(self.module, "packed", None)
        if pack is None:
            return self.module
        return pack(torch.bfloat16 if self.dtype == "bfloat16" else DTYPES[self.dtype])

    def _precision(self) -> AbstractContextManager[Any]:
        if self.dtype != "bfloat16" or self._network is not self.module:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

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


def load_backbone(
    card: Card,
    *,
    weights: Path | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    reporter: Reporter | None = None,
) -> Backbone:
    """The card with its weights loaded, frozen, on `device`.

    weights: a file to take instead of the one in the card's folder or the cache; its hash must be the card's
    dtype:   float32, float64, or bfloat16 (matrix products only)
    reporter: who hears that weights were stored in another type

    Where the card's architecture is a function called `load` (an ONNX file, a network file, a plug-in's own way), it
    is called as `load(card, *, weights, device, dtype, reporter)` and gives the whole backbone.

    Random numbers elsewhere are left alone: a control draws its weights from the seed of its card.

    Raises `WeightsError` where weights are missing, not the card's or do not fit, `ConfigError` where the card does
    not fit its architecture or the device is not there, `TrustError` where the architecture is somebody's code that the
    user has not allowed to run (`backbones.architecture`).
    """
    if dtype not in DTYPES:
        raise ConfigError(f"there is no dtype '{dtype}'; known: {', '.join(DTYPES)}")
    reporter = reporter or Reporter()
    if card.architecture.endswith(":load"):
        if card.layers:
            raise ConfigError(f"{card.name}: '{card.architecture}' gives one embedding; take `layers` out of the card")
        given = {"weights": weights, "device": device, "dtype": dtype, "reporter": reporter}
        return _loaded(card, given, reporter)
    module = build_module(card, reporter=reporter)
    if card.weights is not None:
        path = locate_weights(card, given=weights)
        state = read_state(path, prefix=card.weights.prefix)
        load_strictly(module, state, source=f"{card.name}: {path}", reporter=reporter)
    elif weights is not None:
        raise WeightsError(f"{card.name} takes no weights, but {weights} was given; leave it out")
    elif card.untrained_twin_of is None and any(True for _ in module.parameters()):
        raise WeightsError(f"{card.name}: the architecture has weights, but the card names none")
    return TorchBackbone(card, module, device=torch_device(device), dtype=dtype)


def build_module(card: Card, *, reporter: Reporter | None = None) -> nn.Module:
    """The card's architecture with random weights in float32, drawn from the card's seed (0 where it has none).

    Raises `ConfigError` where it cannot be built, or gives anything else, and `TrustError` as `load_backbone` does.
    """
    build = find_architecture(card.architecture, owner=card.name, reporter=reporter)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(card.seed or 0)
        module = call_architecture(card.architecture, build, card.parameters, owner=card.name)
    if not isinstance(module, nn.Module):
        raise ConfigError(
            f"{card.name}: '{card.architecture}' gives a {type(module).__name__} instead of a torch.nn.Module"
        )
    return module


def _loaded(card: Card, given: dict[str, Any], reporter: Reporter) -> Backbone:
    """What an architecture called `load` gives."""
    load = find_architecture(card.architecture, owner=card.name, reporter=reporter)
    backbone = call_architecture(card.architecture, partial(load, card), given, owner=card.name)
    if not isinstance(backbone, Backbone):
        raise ConfigError(
            f"{card.name}: '{card.architecture}' gives a {type(backbone).__name__} instead of a backbone, as "
            "jetassay.backbones.protocol describes it"
        )
    return backbone


def torch_device(name: str) -> torch.device:
    """The device of that name. Raises `ConfigError` where it cannot be used."""
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device '{name}' cannot be used: {str(error).splitlines()[0]}; try 'cpu'") from error
    return device


def _array(tensor: Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    return tensor.float().cpu().numpy()
