"""A backbone that is an ONNX file: the card says which input is what, and where embedding and scores stand.

The layout of the published files (weaver-core 0.5.3, Sophon's `model.onnx`) is one such card, `sophon-onnx`.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from jetassay.backbones.card import Card
from jetassay.backbones.checks import check_batch, check_finite, check_widths
from jetassay.backbones.feature_sets import feature_set_of
from jetassay.backbones.protocol import Output
from jetassay.backbones.weights import locate_weights
from jetassay.errors import ConfigError, DataError, WeightsError
from jetassay.features.batch import InputBatch
from jetassay.progress import Reporter
from jetassay.records import Record, parse_record

if TYPE_CHECKING:
    import onnxruntime

Floats = NDArray[np.float32]
Role = Literal["features", "p4", "points", "mask", "jet_features"]

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "mps": "CoreMLExecutionProvider"}


class Slice(Record):
    """Columns start:stop of an output (J, columns)."""

    output: str
    start: int = Field(default=0, ge=0)
    stop: int = Field(gt=0)

    @property
    def width(self) -> int:
        """How many columns."""
        return self.stop - self.start

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.width < 1:
            raise ValueError(f"columns {self.start}:{self.stop} are none")
        return self


class OnnxLayout(Record):
    """The `parameters` of such a card.

    inputs:      name of each input of the file -> what it takes
    embedding, scores: where they stand; no scores without a classifier head
    scores_are:  probabilities that sum to 1, or logits
    layout:      (J, columns, slots) or (J, slots, columns)
    slots:       every jet is padded to so many
    points:      which features are the points
    p4_padding:  the four-vector of an empty slot. A file whose azimuth is atan(py / px) makes NaN of a vanishing one
    provider:    of ONNX Runtime; that of the device if not given
    """

    inputs: dict[str, Role] = Field(min_length=1)
    embedding: Slice
    scores: Slice | None = None
    scores_are: Literal["probabilities", "logits"] = "probabilities"
    layout: Literal["channels-first", "channels-last"] = "channels-first"
    slots: int = Field(default=128, gt=0)
    points: tuple[int, ...] = ()
    p4_padding: tuple[float, float, float, float] = (1, 0, 0, 1)
    provider: str | None = None


def load(
    card: Card, *, weights: Path | None = None, device: str = "cpu", dtype: str = "float32", reporter: Reporter
) -> "OnnxBackbone":
    """What a card's `architecture` names; `reporter` has nothing to hear.

    Raises `WeightsError` where the file is missing, damaged, another one, or not the card's; `ConfigError` where ONNX
    Runtime, or the provider, is not there, or another type than float32 is asked for.
    """
    del reporter
    given = parse_record(card.parameters, OnnxLayout, path=card.inside("card.toml"))
    if dtype != "float32":
        raise ConfigError(f"{card.name}: an ONNX file computes in its own type, not in {dtype}; ask for float32")
    if card.untrained_twin_of is not None:
        raise ConfigError(f"{card.name}: an ONNX file cannot be had untrained; take the card of its architecture")
    if given.slots < card.max_constituents:
        raise ConfigError(f"{card.name}: max_constituents = {card.max_constituents} do not fit {given.slots} slots")
    path = locate_weights(card, given=weights)
    content = path.read_bytes()
    session = _session(content, source=f"{card.name}: {path}", providers=_providers(card, given, device))
    return OnnxBackbone(card, given, session, source=f"{card.name}: {path}", sha256=hashlib.sha256(content).hexdigest())


class OnnxBackbone:
    """An ONNX Runtime session behind the protocol of all backbones."""

    def __init__(
        self, card: Card, layout: OnnxLayout, session: "onnxruntime.InferenceSession", *, source: str, sha256: str
    ) -> None:
        self.card, self.layout, self.session = card, layout, session
        self.labels = card.label_names
        self.weights_sha256 = sha256
        self.dtype = "float32"
        self.feature_set = feature_set_of(card)
        self._outputs = list(dict.fromkeys(each.output for each in (layout.embedding, layout.scores) if each))
        _check_signature(session, self._expected(), self._outputs, source=source)
        first = session.get_inputs()[0].shape[0]
        self._fixed = first if isinstance(first, int) else None
        check_widths(self)

    def embed(self, batch: InputBatch) -> Output:
        """Embed J >= 1 jets, each padded to the card's slots; in one call unless the file fixes the number of jets.

        Raises `DataError` where the batch is not of this backbone's feature set, a jet has too many constituents, or
        the file gives something that is not finite, or no probabilities.
        """
        check_batch(self, batch)
        found = self._run(self._inputs(batch), len(batch))
        embedding = self._take(found, self.layout.embedding)
        check_finite(self.card, embedding)
        if self.layout.scores is None:
            return Output(embedding, None)
        scores = self._take(found, self.layout.scores)
        if self.layout.scores_are == "logits":
            powers = np.exp(scores - scores.max(axis=1, keepdims=True))
            scores = powers / powers.sum(axis=1, keepdims=True)
        elif not (np.abs(scores.sum(axis=1) - 1) < 1e-3).all():
            raise DataError(f"{self.card.name}: the scores do not sum to 1; the card should say scores_are = 'logits'")
        return Output(embedding, scores if self.labels else None)

    def _take(self, found: Mapping[str, Floats], part: Slice) -> Floats:
        values = found[part.output]
        if values.ndim != 2 or values.shape[1] < part.stop:
            raise ConfigError(
                f"{self.card.name}: output '{part.output}' is {values.shape}, which has no columns "
                f"{part.start}:{part.stop}; correct the card"
            )
        return values[:, part.start : part.stop]

    def _run(self, inputs: Mapping[str, Floats], jets: int) -> dict[str, Floats]:
        size = self._fixed or jets
        parts = []
        for start in range(0, jets, size):
            rows = np.minimum(np.arange(start, start + size), jets - 1)  # the last jet again where one is short
            try:
                parts.append(self.session.run(self._outputs, {name: each[rows] for name, each in inputs.items()}))
            except Exception as error:  # ONNX Runtime's errors have no base of their own
                raise DataError(f"{self.card.name}: ONNX Runtime failed: {_first_line(error)}") from error
        joined = (np.concatenate(each)[:jets] for each in zip(*parts, strict=True))
        return dict(zip(self._outputs, joined, strict=True))

    def _widths(self) -> dict[Role, int]:
        recipe = self.feature_set
        return {
            "features": recipe.width,
            "p4": 4,
            "points": len(self.layout.points),
            "mask": 1,
            "jet_features": recipe.jet_width,
        }

    def _expected(self) -> dict[str, tuple[int, ...]]:
        """The shape of each input but for the number of jets."""
        widths, slots = self._widths(), self.layout.slots
        first = self.layout.layout == "channels-first"
        return {
            name: (widths[role],)
            if role == "jet_features"
            else ((widths[role], slots) if first else (slots, widths[role]))
            for name, role in self.layout.inputs.items()
        }

    def _inputs(self, batch: InputBatch) -> dict[str, Floats]:
        mask = np.arange(self.layout.slots) < batch.multiplicities[:, None]

        def padded(rows: Floats, filling: Any = 0) -> Floats:
            table = np.empty((*mask.shape, rows.shape[1]), np.float32)
            table[...] = filling
            table[mask] = rows
            return np.ascontiguousarray(table.transpose(0, 2, 1)) if self.layout.layout == "channels-first" else table

        def made(role: Role) -> Floats:
            match role:
                case "features":
                    return padded(batch.features)
                case "p4":
                    return padded(batch.p4, self.layout.p4_padding)
                case "points":
                    return padded(batch.features[:, list(self.layout.points)])
                case "mask":
                    return padded(np.ones((len(batch.features), 1), np.float32))
                case "jet_features":
                    return batch.jet_features

        return {name: made(role) for name, role in self.layout.inputs.items()}


def _session(content: bytes, *, source: str, providers: list[Any]) -> "onnxruntime.InferenceSession":
    """From bytes, so that a file beside the file cannot bring further weights that no hash covers."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Batches run side by side, each on one thread, and give the same bits on any number of cores.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # whatever goes wrong is raised
    try:
        return onnxruntime.InferenceSession(content, options, providers=providers)
    except Exception as error:  # ONNX Runtime's errors have no base of their own
        reason = _first_line(error)
        if "not a registered function/op" in reason or "No opset import" in reason:
            raise WeightsError(
                f"{source}: the file uses an operator that ONNX Runtime does not have, and none is loaded for it: "
                f"{reason}. Export it with standard operators"
            ) from error
        if "xternal data" in reason or "model_path" in reason:
            raise WeightsError(
                f"{source}: the file keeps weights in another file, which the card's hash does not cover; save it in "
                "one piece"
            ) from error
        raise WeightsError(f"{source}: damaged, cut short or not an ONNX file: {reason}") from error


def _providers(card: Card, layout: OnnxLayout, device: str) -> list[Any]:
    try:
        import onnxruntime
    except ImportError as error:
        raise ConfigError(
            f"{card.name} is an ONNX file, and ONNX Runtime is not installed: pip install 'jetassay[onnx]'"
        ) from error
    kind, _, number = device.partition(":")
    name = layout.provider or _PROVIDERS.get(kind)
    known = onnxruntime.get_available_providers()
    if name not in known:
        raise ConfigError(
            f"{card.name}: ONNX Runtime has no provider '{name or device}' here; known: {', '.join(known)}. Choose "
            "another device, or `provider` in the card"
        )
    options = {"device_id": number} if number else {}
    if name == "CUDAExecutionProvider":
        options["use_tf32"] = "0"  # float32 is float32, as everywhere; it is 1 by default
    return [(name, options)]


def _check_signature(
    session: "onnxruntime.InferenceSession", expected: Mapping[str, tuple[int, ...]], outputs: list[str], *, source: str
) -> None:
    """Raises `WeightsError` where the file takes or gives anything but what the card says."""
    given = {each.name: each for each in session.get_inputs()}
    there = [each.name for each in session.get_outputs()]
    problems = [f"the card's input '{name}' is not in the file" for name in expected if name not in given]
    problems += [f"the file wants '{name}', of which the card says nothing" for name in given if name not in expected]
    problems += [f"there is no output '{name}'" for name in outputs if name not in there]
    for name, shape in expected.items():
        if name in given:
            found = given[name].shape[1:]
            fits = len(found) == len(shape) and all(
                not isinstance(a, int) or a == b for a, b in zip(found, shape, strict=True)
            )
            if not fits or given[name].type != "tensor(float)":
                wanted = ", ".join(str(each) for each in ("J", *shape))
                problems.append(f"'{name}' is {given[name].type} {given[name].shape} instead of float ({wanted})")
    if problems:
        raise WeightsError(
            f"{source}: the file is not laid out as the card says: {'; '.join(problems)}. It takes "
            f"{', '.join(given)} and gives {', '.join(there)}"
        )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
