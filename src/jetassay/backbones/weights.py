"""Weights: where a card's file is, whether it is the right one, and what is inside. Never runs what a file holds."""

import hashlib
import shlex
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from pickle import UnpicklingError  # what torch raises where a file holds more than tensors
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from jetassay.backbones.card import Card, Weights
from jetassay.errors import WeightsError
from jetassay.places import cache_folder
from jetassay.progress import Reporter

if TYPE_CHECKING:
    from torch import Tensor, nn

_SHOWN = 5


def weights_state(card: Card) -> str:
    """In a word or two for listings: shipped, found, missing, or none needed. Looks at no byte of the file."""
    if card.weights is None:
        return f"untrained, seed {card.seed}" if card.untrained_twin_of else "no weights"
    if not weights_path(card).is_file():
        return "weights missing"
    return "weights shipped" if card.weights.file else "weights found"


def weights_path(card: Card) -> Path:
    """Where the weights of a card belong, whether they are there or not: in its folder, or in the cache.

    Raises `WeightsError` where the card has none, or does not know its folder.
    """
    weights = card.weights
    if weights is None:
        raise WeightsError(f"{card.name}: the card has no weights, so there is no file to take them from")
    if weights.file is not None:
        if card.folder is None:
            raise WeightsError(f"{card.name}: the card was not read from a folder, so give the weights' file itself")
        return card.inside(weights.file)
    return cache_folder() / "weights" / card.name / PurePosixPath(urlsplit(weights.urls[0]).path).name


def locate_weights(card: Card, *, given: Path | None = None) -> Path:
    """The file with the card's weights, after its bytes have been compared with the card's hash.

    given: a file to take instead of the one in the card's folder or in the cache

    Raises `WeightsError` where it is missing (saying how to get it), cut short or another file.
    """
    if card.weights is None:
        raise WeightsError(f"{card.name}: the card has no weights, so there is no file to take them from")
    path = given or weights_path(card)
    if not path.is_file():
        raise WeightsError(_how_to_get(card, card.weights, path, asked_for=given is not None))
    _verify(path, card.weights, card=card.name)
    return path


def read_state(path: Path, *, prefix: str = "") -> "dict[str, Tensor]":
    """Layers by name, `prefix` removed, on the CPU, from a safetensors file or a checkpoint of torch.

    Raises `WeightsError` where the file is damaged, would have to run code to be read, or holds anything but tensors.
    """
    state = _read_safetensors(path) if path.suffix == ".safetensors" else _read_checkpoint(path)
    return {name.removeprefix(prefix): tensor for name, tensor in state.items()}


def load_strictly(module: "nn.Module", state: "Mapping[str, Tensor]", *, source: str, reporter: Reporter) -> None:
    """Copy `state` into `module`, every layer of which must be there once, in its shape, finite.

    Old names of layers are brought up to date as the module's `renamed` says (ending to ending). Weights stored in
    another floating type are converted to the module's, with a notice.

    Raises `WeightsError` listing what is missing, left over or of another shape.
    """
    endings: Mapping[str, str] = getattr(module, "renamed", {})
    state = {_renamed(name, endings): tensor for name, tensor in state.items()}
    expected = module.state_dict()
    shapes = [
        f"{name} is {tuple(state[name].shape)} instead of {tuple(expected[name].shape)}"
        for name in expected
        if name in state and state[name].shape != expected[name].shape
    ]
    problems = {
        "missing": [name for name in expected if name not in state],
        "unexpected": [name for name in state if name not in expected],
        "of another shape": shapes,
    }
    if any(problems.values()):
        found = "; ".join(f"{kind}: {_first(names)}" for kind, names in problems.items() if names)
        raise WeightsError(f"{source}: these are weights of another architecture than the card's. Layers {found}")
    _check_values(state, expected, source=source, reporter=reporter)
    module.load_state_dict(state, strict=True)


def state_digest(module: "nn.Module") -> str:
    """sha256 hex over names, types, shapes and bytes of all parameters and buffers, sorted by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        array = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _how_to_get(card: Card, weights: Weights, path: Path, *, asked_for: bool) -> str:
    if asked_for:
        return f"{card.name}: there is no file {path}"
    if weights.file is not None:
        return f"{card.name}: {path} is missing; it ships with the card, so restore it from where the card came from"
    commands = "\n".join(
        f"    curl -fL --create-dirs -o {shlex.quote(str(path))} {shlex.quote(url)}" for url in weights.urls
    )
    return (
        f"{card.name}: the official weights are not on this machine. Get them with\n"
        f"    jetassay fetch {card.name}\nor with{' one of' if len(weights.urls) > 1 else ''}\n{commands}\n"
        f"or put the file there by hand; its {_identity(weights)} is checked. Licence: {weights.licence}."
    )


def _identity(weights: Weights) -> str:
    return f"sha256 {weights.sha256}" if weights.sha256 else f"git blob id {weights.git_blob}"


def _verify(path: Path, weights: Weights, *, card: str) -> None:
    content = path.read_bytes()
    if weights.size is not None and len(content) != weights.size:
        raise WeightsError(
            f"{card}: {path} has {len(content)} bytes instead of {weights.size}; the download may have been cut short: "
            "remove the file and fetch it again"
        )
    found = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "git_blob": hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest(),
    }
    for kind, digest in found.items():
        expected = getattr(weights, kind)
        if expected is not None and digest != expected:
            raise WeightsError(
                f"{card}: {path} is not the file that the card names: {kind} is {digest} instead of {expected}. "
                "For other weights write a card of their own"
            )


def _read_safetensors(path: Path) -> "dict[str, Tensor]":
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise WeightsError(f"{path}: damaged or not a safetensors file: {error}") from error


def _read_checkpoint(path: Path) -> "dict[str, Tensor]":
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise WeightsError(
            f"{path}: refused, because reading it would run code that the file brings along, or it is no checkpoint: "
            f"{_reason(error)} Ask for a plain state dictionary or a safetensors file"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise WeightsError(f"{path}: damaged or not a checkpoint of torch: {_reason(error)}") from error
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path}: expected a dictionary of layers, found a {type(content).__name__}")
    other = [str(name) for name, value in content.items() if not isinstance(value, torch.Tensor)]
    if other:
        raise WeightsError(f"{path}: expected tensors only, but not so: {_first(other)}")
    return dict(content)


def _check_values(
    state: "Mapping[str, Tensor]", expected: "Mapping[str, Tensor]", *, source: str, reporter: Reporter
) -> None:
    converted: dict[str, int] = {}
    for name, tensor in state.items():
        if tensor.is_floating_point() != expected[name].is_floating_point() or tensor.is_complex():
            raise WeightsError(f"{source}: {name} is {tensor.dtype}, which does not convert to {expected[name].dtype}")
        if not tensor.isfinite().all():
            raise WeightsError(f"{source}: {name} holds values that are not finite; the training went wrong")
        if tensor.dtype != expected[name].dtype:
            stored = str(tensor.dtype).removeprefix("torch.")
            converted[stored] = converted.get(stored, 0) + 1
    for stored, count in converted.items():
        reporter.warning(f"{source}: {count} layers are stored as {stored} and were converted to float32")


def _renamed(name: str, endings: Mapping[str, str]) -> str:
    for old, new in endings.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def _reason(error: Exception) -> str:
    """The first line of what a library says, which may be nothing."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _first(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
