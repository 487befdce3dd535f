"""`jetassay add-weaver`: a network trained with weaver becomes a folder with a card, as any other backbone is."""

import ast
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from jetassay.backbones.catalogue import MODELS_VARIABLE
from jetassay.errors import ConfigError
from jetassay.jets.labels import LABEL_LISTS
from jetassay.progress import Reporter
from jetassay.training.toml import to_toml

if TYPE_CHECKING:
    from torch import Tensor, nn

    from jetassay.features.weaver.config import WeaverConfig

_DATA, _NETWORK, _WEIGHTS = "data.yaml", "network.py", "weights.safetensors"


@dataclass(frozen=True, slots=True)
class Known:
    """One of weaver's networks that jetassay has itself: needs neither weaver nor trust.

    must:   options that no checkpoint records and that change every output silently, with why
    points: it looks for neighbours, so the data configuration must name the points
    """

    architecture: str
    permutation_invariant: bool = True
    points: bool = False
    must: Mapping[str, str] = field(default_factory=dict)


KNOWN: Mapping[str, Known] = MappingProxyType(
    {
        "ParticleTransformer": Known(
            "jetassay.backbones.part:build",
            must={"use_pre_activation_pair": "False in the networks published for JetClass, True in weaver and Sophon"},
        ),
        "ParticleNet": Known("jetassay.backbones.particlenet:build", points=True),
        "PFN": Known("jetassay.backbones.pfn:build"),
        "PCNN": Known("jetassay.backbones.pcnn:build", permutation_invariant=False),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeaverModel:
    """What a user has of a network trained with weaver.

    network:    a name in `KNOWN`, or the path of a Python file with `get_model`
    options:    of the network, as weaver's `--network-option`; of ours for a known one
    embedding:  a linear layer whose input is the embedding, or "logits"; None for the last linear layer, and for the
                embedding that a known network has
    labels:     a label list's name or class names; None for those of the data configuration
    trained_on: names of datasets, so that contamination shows
    """

    name: str
    network: str
    data_config: Path
    checkpoint: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    embedding: str | None = None
    labels: str | tuple[str, ...] | None = None
    trained_on: tuple[str, ...] = ()
    licence: str = "not stated"


def add_weaver(model: WeaverModel, *, output: Path | None = None, reporter: Reporter) -> Path:
    """Write `output/NAME` with card, data configuration and weights, after the backbone has been loaded from it.

    output: the first folder in `JETASSAY_MODELS` if not given

    Nothing is left behind where anything fails. Raises `ConfigError` and `WeightsError` saying what does not fit,
    `TrustError` where the network's file would have to run without the user's consent.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", model.name):
        raise ConfigError(f"'{model.name}' is no name of a backbone: lower-case letters, digits and hyphens")
    target = _folder(output) / model.name
    if target.exists():
        raise ConfigError(f"{target} is there already; choose another name, or remove it")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".adding-", dir=target.parent) as staging:
        folder = Path(staging) / model.name
        folder.mkdir()
        _write(model, folder, reporter)
        folder.rename(target)
    return target


def _write(model: WeaverModel, folder: Path, reporter: Reporter) -> None:
    from safetensors.torch import save_file

    from jetassay.backbones.card import read_card
    from jetassay.backbones.loading import load_backbone
    from jetassay.backbones.weights import read_state
    from jetassay.features.weaver.reading import read_weaver_config

    config = read_weaver_config(model.data_config)
    shutil.copyfile(model.data_config, folder / _DATA)
    state = _without(read_state(model.checkpoint), "module.")
    if model.network in KNOWN:
        state = _without(state, "mod.")
    save_file({name: tensor.detach().clone().contiguous() for name, tensor in state.items()}, folder / _WEIGHTS)
    table: dict[str, Any] = {
        "name": model.name,
        "title": f"{Path(model.network).stem}, trained with weaver",
        "notes": f"Added from {model.data_config.name} and {model.checkpoint.name}.",
        "feature_set": f"file:{_DATA}",
        "trained_on": model.trained_on,
        "max_constituents": config.max_constituents,
    }
    table |= _known(model, config) if model.network in KNOWN else _foreign(model, config, folder, reporter)
    table["weights"] = {
        "file": _WEIGHTS,
        "sha256": _sha256(folder / _WEIGHTS),
        "size": (folder / _WEIGHTS).stat().st_size,
        "licence": model.licence,
    }
    (folder / "card.toml").write_text(to_toml(table), encoding="utf-8")
    load_backbone(read_card(folder / "card.toml"), reporter=reporter)


def _known(model: WeaverModel, config: "WeaverConfig") -> dict[str, Any]:
    """The facts of a network that jetassay has itself."""
    from jetassay.backbones.card import Card
    from jetassay.backbones.loading import build_module

    known = KNOWN[model.network]
    for option, why in known.must.items():
        if option not in model.options:
            raise ConfigError(
                f"{model.name}: say --option {option}=True or False: no checkpoint records it, and the wrong one "
                f"changes every output silently ({why})"
            )
    if model.embedding is not None:
        raise ConfigError(f"{model.name}: {model.network} has an embedding of its own; leave --embedding out")
    labels = _labels(model, config)
    parameters = {"input_dim": config.feature_set.width, "num_classes": _count(labels), **model.options}
    if known.points:
        if not config.points:
            raise ConfigError(f"{model.data_config}: {model.network} needs points, and no input ends in _points")
        parameters["points"] = config.point_columns
    card = Card(
        name=model.name,
        title=model.name,
        role="floor",
        architecture=known.architecture,
        parameters=parameters,
        feature_set=f"file:{_DATA}",
        embedding_dim=1,
    )
    module = build_module(card)
    embedding, _ = _trial(module, config)
    return {
        "architecture": known.architecture,
        "embedding_dim": embedding,
        "labels": labels,
        "permutation_invariant": known.permutation_invariant,
        "layers": dict(getattr(module, "layers", {})),
        "parameters": parameters,
    }


def _foreign(model: WeaverModel, config: "WeaverConfig", folder: Path, reporter: Reporter) -> dict[str, Any]:
    """The facts of a network that a file makes; runs the file."""
    from jetassay.backbones.foreign import NetworkFile, WeaverLayout, make_network

    path = Path(model.network)
    if path.suffix != ".py":
        raise ConfigError(
            f"there is no network '{model.network}'; known: {', '.join(KNOWN)}. A network of one's own is a file that "
            "ends in .py"
        )
    try:
        shutil.copyfile(path, folder / _NETWORK)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    given = NetworkFile(
        network=_NETWORK,
        sha256=_sha256(folder / _NETWORK),
        data_config_sha256=_sha256(folder / _DATA),
        options=dict(model.options),
        embedding=model.embedding or "",
    )
    network = make_network(path, config, given, owner=model.name, reporter=reporter)
    layout = WeaverLayout(network, config, embedding=model.embedding)
    embedding, classes = _trial(layout, config)
    labels = _labels(model, config)
    if labels and _count(labels) != classes:
        raise ConfigError(f"{model.name}: the network gives {classes} logits, but there are {_count(labels)} labels")
    if not labels:
        reporter.warning(f"{model.name}: the data configuration names no classes; give --labels to have scores")
    parameters = given.model_copy(update={"embedding": model.embedding or layout.last_layer})
    return {
        "architecture": "jetassay.backbones.foreign:load",
        "embedding_dim": embedding,
        "labels": labels,
        "permutation_invariant": False,
        "parameters": parameters.model_dump(),
    }


def _trial(module: "nn.Module", config: "WeaverConfig") -> tuple[int, int]:
    """Widths of the embedding and of the logits, from one empty jet."""
    import torch

    recipe = config.feature_set
    jet = [torch.zeros(1, 1, recipe.width), torch.tensor([[[1.0, 0, 0, 1]]]), torch.ones(1, 1, dtype=torch.bool)]
    if recipe.jet_width:
        jet.append(torch.zeros(1, recipe.jet_width))
    with torch.inference_mode():
        try:
            embedding, logits = module.eval()(*jet)
        except (RuntimeError, TypeError, ValueError, LookupError, AttributeError) as error:
            raise ConfigError(f"the network does not take the inputs of {config.path}: {error}") from error
    return embedding.shape[1], logits.shape[1]


def _labels(model: WeaverModel, config: "WeaverConfig") -> str | tuple[str, ...]:
    if model.labels is not None:
        return model.labels
    if config.labels.kind != "simple":
        return ()
    names = tuple(name.removeprefix("label_") for name in config.labels.formulas)
    return next((name for name, known in LABEL_LISTS.items() if known == names), names)


def _count(labels: str | tuple[str, ...]) -> int:
    if isinstance(labels, str) and labels not in LABEL_LISTS:
        raise ConfigError(f"there is no label list '{labels}'; known: {', '.join(LABEL_LISTS)}")
    names = LABEL_LISTS[labels] if isinstance(labels, str) else labels
    if not names:
        raise ConfigError("the data configuration names no classes; give --labels")
    return len(names)


def _folder(output: Path | None) -> Path:
    if output is not None:
        return output
    first = next((each for each in os.environ.get(MODELS_VARIABLE, "").split(os.pathsep) if each), None)
    if first is None:
        raise ConfigError(f"where to? Give --output FOLDER, or set {MODELS_VARIABLE} to a folder of yours")
    return Path(first).expanduser()


def _without(state: "Mapping[str, Tensor]", prefix: str) -> "Mapping[str, Tensor]":
    if not all(name.startswith(prefix) for name in state):
        return state
    return {name.removeprefix(prefix): tensor for name, tensor in state.items()}


def parse_options(given: Iterable[str]) -> dict[str, Any]:
    """`KEY=VALUE` texts, the values as Python writes them, as in weaver. Raises `ConfigError` for anything else."""
    found: dict[str, Any] = {}
    for each in given:
        key, equals, value = each.partition("=")
        try:
            found[key.strip()] = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
            raise ConfigError(f"--option {each}: write KEY=VALUE, as in num_layers=3 or trim=False") from error
        if not equals or not key.strip().isidentifier():
            raise ConfigError(f"--option {each}: write KEY=VALUE, as in num_layers=3 or trim=False")
    return found


def parse_labels(given: str | None) -> str | tuple[str, ...] | None:
    """The name of a label list, or class names with commas between them."""
    if given is None or given in LABEL_LISTS:
        return given
    return tuple(name.strip() for name in given.split(","))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
