"""A network that somebody wrote for weaver: `get_model(data_config, **options)` in a file beside the card.

weaver-core 0.5.3 calls that function with its data configuration and feeds the network every input of it by name, one
tensor (J, variables, length) each, in the order of the file. Here it gets the same.
"""

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from jetassay.backbones.card import Card
from jetassay.backbones.feature_sets import data_configuration
from jetassay.backbones.loading import TorchBackbone, torch_device
from jetassay.backbones.part import ParticleTransformer
from jetassay.backbones.trust import run_file
from jetassay.backbones.weights import load_strictly, locate_weights, read_state
from jetassay.errors import ConfigError
from jetassay.features.weaver.config import Input, WeaverConfig
from jetassay.progress import Reporter
from jetassay.records import Record, parse_record

LOGITS = "logits"
SHA256 = r"^[0-9a-f]{64}$"


class NetworkFile(Record):
    """The `parameters` of such a card.

    network:   the file beside the card
    sha256, data_config_sha256: of the bytes of that file, and of the data configuration beside it
    options:   what `get_model` is called with
    embedding: the layer whose input is the embedding, by its name in the network, or "logits"
    """

    network: str
    sha256: str = Field(pattern=SHA256)
    data_config_sha256: str = Field(pattern=SHA256)
    options: dict[str, Any] = Field(default_factory=dict)
    embedding: str


def load(
    card: Card, *, weights: Path | None = None, device: str = "cpu", dtype: str = "float32", reporter: Reporter
) -> TorchBackbone:
    """What a card's `architecture` names. Runs the network's file, which needs the user's consent: see `trust`.

    Raises `TrustError` without it, `ConfigError` and `WeightsError` as `load_backbone` does.
    """
    given = parse_record(card.parameters, NetworkFile, path=card.inside("card.toml"))
    config = data_configuration(card)
    if hashlib.sha256(config.path.read_bytes()).hexdigest() != given.data_config_sha256:
        raise ConfigError(f"{card.name}: {config.path} was changed since the backbone was added; add it again")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(card.seed or 0)
        path = card.inside(given.network)
        network = make_network(path, config, given, owner=card.name, reporter=reporter)
    module = WeaverLayout(network, config, embedding=given.embedding)
    if card.weights is not None:
        found = locate_weights(card, given=weights)
        state = named_as_now(read_state(found, prefix=card.weights.prefix), network)
        load_strictly(network, state, source=f"{card.name}: {found}", reporter=reporter)
    return TorchBackbone(card, module, device=torch_device(device), dtype=dtype)


def make_network(path: Path, config: WeaverConfig, given: NetworkFile, *, owner: str, reporter: Reporter) -> nn.Module:
    """The network that the file makes, with random weights, in inference mode."""
    source = run_file(path, owner=owner, reporter=reporter, sha256=given.sha256)
    if not callable(getattr(source, "get_model", None)):
        raise ConfigError(f"{owner}: {path} defines no get_model(data_config, **options), which weaver calls")
    try:
        network, _ = source.get_model(DataConfig.of(config), **given.options)
    except Exception as error:
        raise ConfigError(f"{owner}: get_model of {path} failed: {type(error).__name__}: {error}") from error
    if not isinstance(network, nn.Module):
        raise ConfigError(f"{owner}: get_model of {path} gives a {type(network).__name__} instead of a torch module")
    for each in network.modules():
        if type(each).__name__ == "SequenceTrimmer":
            setattr(each, "enabled", False)  # noqa: B010 - typed as a submodule; it cuts a batch to its longest jet, and counts its calls
    return network.eval()


def named_as_now(state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Layers that weaver-core called otherwise before 0.5, where the network has them under the new name."""
    expected = network.state_dict()

    def now(name: str) -> str:
        for old, new in ParticleTransformer.renamed.items():
            if name not in expected and name.endswith(old):
                return name.removesuffix(old) + new
        return name

    return {now(name): tensor for name, tensor in state.items()}


@dataclass(frozen=True, slots=True)
class DataConfig:
    """What network files ask of weaver's data configuration, under its names."""

    input_names: tuple[str, ...]
    input_dicts: Mapping[str, list[str]]
    input_shapes: Mapping[str, tuple[int, ...]]
    label_type: str
    label_names: tuple[str, ...]
    label_value: list[str] | dict[str, str]

    @classmethod
    def of(cls, config: WeaverConfig) -> "DataConfig":
        """The same facts under weaver's names."""
        formulas = {name: formula.text for name, formula in config.labels.formulas.items()}
        simple = config.labels.kind == "simple"
        return cls(
            input_names=tuple(each.name for each in config.inputs),
            input_dicts={each.name: [variable.name for variable in each.variables] for each in config.inputs},
            input_shapes={
                each.name: (-1, len(each.variables), *(() if each.length is None else (each.length,)))
                for each in config.inputs
            },
            label_type=config.labels.kind,
            label_names=("_label_",) if simple else tuple(formulas),
            label_value=list(formulas) if simple else formulas,
        )


class WeaverLayout(nn.Module):
    """A network of weaver behind the arguments of ours.

    embedding: the layer whose input is the embedding, or "logits"; None to find the last linear layer that is used

    Jets are always padded to the length of the configuration, so that one is the same in any batch. Where the file
    pads by wrapping, a jet's own constituents are repeated; weaver takes those of other jets.
    """

    def __init__(self, network: nn.Module, config: WeaverConfig, *, embedding: str | None) -> None:
        super().__init__()
        self.network, self.config, self.embedding = network, config, embedding
        self.points = list(config.point_columns) if config.points else []
        self._seen = threading.local()
        linear = {name: each for name, each in network.named_modules() if isinstance(each, nn.Linear)}
        watched = linear if embedding is None else {embedding: linear.get(embedding)}
        if embedding != LOGITS:
            for name, layer in watched.items():
                if layer is None:
                    raise ConfigError(f"the network has no linear layer '{name}'; known: {', '.join(linear) or 'none'}")
                layer.register_forward_pre_hook(lambda _, inputs, name=name: self._note(name, inputs[0]))

    def forward(
        self, features: Tensor, p4: Tensor, mask: Tensor, jet_features: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Embedding (J, D) and logits (J, K); features (J, C, F), p4 (J, C, 4), mask bool (J, C), jet_features (J, G).

        Raises `ConfigError` where the network gives anything else.
        """
        inputs = [self._input(each, features, p4, mask, jet_features) for each in self.config.inputs]
        self._seen.layer, self._seen.values = None, None
        found = self.network(*inputs)
        logits = found[0] if isinstance(found, tuple | list) else found
        jets = len(features)
        if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != jets:
            raise ConfigError(f"the network must give one row of logits for each of {jets} jets, not {_told(logits)}")
        embedding = logits if self.embedding == LOGITS else self._seen.values
        if embedding is None or embedding.ndim != 2 or len(embedding) != jets:
            layer = self.embedding or "any linear layer"
            raise ConfigError(
                f"the input of {layer} is {_told(embedding)}, not one row for each of {jets} jets; choose another "
                f"layer, or '{LOGITS}'"
            )
        return embedding, logits

    @property
    def last_layer(self) -> str | None:
        """The watched layer that was used last in the latest forward pass of this thread."""
        name: str | None = self._seen.layer
        return name

    def _note(self, name: str, values: Tensor) -> None:
        self._seen.layer, self._seen.values = name, values

    def _input(self, wanted: Input, features: Tensor, p4: Tensor, mask: Tensor, jet_features: Tensor | None) -> Tensor:
        names = tuple(each.name for each in wanted.variables)
        if jet_features is not None and names == tuple(each.name for each in self.config.feature_set.jet_features):
            return jet_features if wanted.length is None else jet_features[:, :, None]
        role = wanted.name.rsplit("_", 1)[-1]
        values = {
            "features": features,
            "vectors": p4,
            "points": features[..., self.points],
            "mask": mask[..., None].to(features.dtype),
        }[role]
        return _slots(values, mask, wanted).transpose(1, 2)


def _slots(values: Tensor, mask: Tensor, wanted: Input) -> Tensor:
    """(J, C, V) padded to (J, length, V) as the file says."""
    assert wanted.length is not None
    place = torch.arange(wanted.length, device=values.device)[None]
    counts = mask.sum(dim=1, keepdim=True)
    padded = values.gather(1, (place % counts)[..., None].expand(-1, -1, values.shape[-1]))
    if wanted.pad_mode == "wrap":
        return padded
    filling = values.new_tensor([each.pad_value for each in wanted.variables])
    return torch.where((place < counts)[..., None], padded, filling)


def _told(found: object) -> str:
    return f"a tensor {tuple(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
