"""The training loop: steps, curves, checkpoints. The same seed and threads give the same bits on the same machine."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from math import cos, isfinite, pi
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from jetassay.backbones.padding import pad
from jetassay.errors import ConvergenceError
from jetassay.progress import Bar, Reporter
from jetassay.training.batches import by_multiplicity, epoch_steps, steps_per_epoch
from jetassay.training.evaluation import measure
from jetassay.training.recipe import Optimisation
from jetassay.training.sample import LabelledInputs, TrainingSample
from jetassay.whole_files import whole_file

MAX_CLASS_WEIGHT = 5.0
_INFERENCE_BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One row of the curves. Losses are cross-entropies in nats; that of training is weighted and smoothed.

    Training figures are means over the epoch, while the network still changes; those of validation follow it.
    """

    epoch: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    validation_auc: float | None
    time_s: float


@dataclass(slots=True)
class Progress:
    """What a training has come to: all that is needed to go on, and the best weights so far."""

    curves: list[Epoch]
    best_weights: dict[str, torch.Tensor]

    @property
    def best(self) -> Epoch:
        """The epoch with the lowest validation loss."""
        return min(self.curves, key=lambda epoch: epoch.validation_loss)


def train(
    build: Callable[[], nn.Module],
    sample: TrainingSample,
    settings: Optimisation,
    *,
    checkpoint: Path,
    reporter: Reporter,
) -> Progress:
    """Train the module that `build` makes; give the curves and the weights of the best epoch.

    A checkpoint of the same recipe is gone on from, to the same bits as without interruption. Seeds and thread
    counts of torch are as before afterwards. Raises `ConvergenceError` where the loss becomes infinite or NaN.
    """
    with _isolated(settings.seed, settings.threads):
        trainer = Trainer(build(), sample, settings, checkpoint)
        trainer.resume()
        for epoch in range(len(trainer.progress.curves), settings.epochs):
            row = trainer.epoch(epoch, reporter)
            reporter.line(
                f"epoch {row.epoch} of {settings.epochs}: training loss {row.train_loss:.4f}, validation loss "
                f"{row.validation_loss:.4f}, accuracy {row.validation_accuracy:.4f}, {row.time_s:.0f} s"
            )
        return trainer.progress


def predict(module: nn.Module, sample: LabelledInputs) -> NDArray[np.float32]:
    """Class probabilities (J, K) in the order of the sample; the module is left in inference mode."""
    module.eval()
    parts = by_multiplicity(sample.inputs.multiplicities, size=_INFERENCE_BATCH)
    with torch.inference_mode():
        found = []
        for order in parts:
            jets = pad(sample.inputs.take(order))
            found.append(module(jets.features, jets.p4, jets.mask)[1].softmax(dim=-1).numpy())
    table = np.concatenate(found)
    probabilities = np.empty_like(table)
    probabilities[np.concatenate(parts)] = table
    return probabilities


def learning_rate(step: int, *, steps: int, settings: Optimisation) -> float:
    """The rate of one step, the first being 0: a linear rise to the peak, then a half cosine towards 0."""
    rising = max(1, round(settings.warm_up * steps))
    if step < rising:
        return settings.learning_rate * (step + 1) / rising
    return settings.learning_rate * 0.5 * (1 + cos(pi * (step - rising) / max(1, steps - rising)))


def class_weights(labels: NDArray[np.int64], *, classes: int, power: float) -> torch.Tensor:
    """Weight of each label (K,): falls with its frequency, 1 for the average jet before the cap, 0 without jets."""
    counts = np.bincount(labels, minlength=classes).astype(np.float64)
    weights = np.where(counts > 0, np.maximum(counts, 1) ** -power, 0.0)
    weights *= counts.sum() / (weights * counts).sum()
    return torch.from_numpy(np.minimum(weights, MAX_CLASS_WEIGHT).astype(np.float32))


class Trainer:
    """One module in training: its optimiser, what it has come to, and where that is kept."""

    def __init__(self, module: nn.Module, sample: TrainingSample, settings: Optimisation, checkpoint: Path) -> None:
        self.module, self.sample, self.settings, self.checkpoint = module, sample, settings, checkpoint
        self.optimiser = torch.optim.AdamW(_groups(module, settings.weight_decay), lr=settings.learning_rate)
        labels = sample.train.labels
        self.labels = torch.from_numpy(labels)
        self.weights = class_weights(labels, classes=len(sample.names), power=settings.class_weight_power)
        self.per_epoch = steps_per_epoch(len(labels), batch=settings.batch, micro_batch=settings.micro_batch)
        self.progress = Progress([], {})

    def resume(self) -> None:
        """Go on from the checkpoint, or fix the scales of a new network."""
        if not self.checkpoint.exists():
            fix_normalisations(self.module, self.sample.train, self.settings)
            return
        state: dict[str, Any] = torch.load(self.checkpoint, weights_only=True)
        self.module.load_state_dict(state["module"])
        self.optimiser.load_state_dict(state["optimiser"])
        torch.set_rng_state(state["random"])
        self.progress = Progress([Epoch(**row) for row in state["curves"]], state["best_weights"])

    def save(self) -> None:
        """Everything that the next epoch depends on."""
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "module": self.module.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "random": torch.get_rng_state(),
            "curves": [asdict(row) for row in self.progress.curves],
            "best_weights": self.progress.best_weights,
        }
        with whole_file(self.checkpoint) as path:
            torch.save(state, path)

    def epoch(self, index: int, reporter: Reporter) -> Epoch:
        """One pass over all training jets, the validation after it, and a checkpoint."""
        start = time.perf_counter()
        settings = self.settings
        multiplicities = self.sample.train.inputs.multiplicities
        plan = epoch_steps(
            multiplicities, batch=settings.batch, micro_batch=settings.micro_batch, seed=settings.seed, epoch=index
        )
        training_mode(self.module)
        loss = correct = rate = 0.0
        with reporter.bar(f"training, epoch {index + 1} of {settings.epochs}", len(multiplicities)) as bar:
            for step, parts in enumerate(plan, start=index * self.per_epoch):
                rate = learning_rate(step, steps=settings.epochs * self.per_epoch, settings=settings)
                step_loss, step_correct = self.step(parts, rate, bar)
                loss, correct = loss + step_loss, correct + step_correct
        if not isfinite(loss) or not all(bool(each.isfinite().all()) for each in self.module.parameters()):
            raise ConvergenceError(
                f"Training diverged in epoch {index + 1}: the loss is no number any more. Lower `learning_rate` in "
                "the recipe."
            )
        validation = measure(
            predict(self.module, self.sample.validation), self.sample.validation.labels, self.sample.names
        )
        row = Epoch(
            epoch=index + 1,
            learning_rate=rate,
            train_loss=loss / len(multiplicities),
            train_accuracy=correct / len(multiplicities),
            validation_loss=validation.loss,
            validation_accuracy=validation.accuracy,
            validation_auc=validation.macro_ovo_auc,
            time_s=time.perf_counter() - start,
        )
        self.progress.curves.append(row)
        if self.progress.best is row:
            self.progress.best_weights = {
                name: value.detach().clone() for name, value in self.module.state_dict().items()
            }
        self.save()
        return row

    def step(self, parts: Sequence[NDArray[np.int64]], rate: float, bar: Bar) -> tuple[float, int]:
        """One change of the weights; gives the sum of the jets' losses, and how many jets were right."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        jets = sum(len(part) for part in parts)
        total, correct = 0.0, 0
        for part in parts:
            padded, labels = pad(self.sample.train.inputs.take(part)), self.labels[torch.from_numpy(part)]
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.settings.dtype == "bfloat16"):
                logits = self.module(padded.features, padded.p4, padded.mask)[1]
            losses = functional.cross_entropy(
                logits.float(), labels, reduction="none", label_smoothing=self.settings.label_smoothing
            )
            loss = (losses * self.weights[labels]).sum()
            torch.autograd.backward(loss / jets)
            total += float(loss.detach())
            correct += int((logits.detach().argmax(dim=-1) == labels).sum())
            bar.advance(len(part))
        nn.utils.clip_grad_norm_(self.module.parameters(), self.settings.clip)
        self.optimiser.step()
        self.optimiser.zero_grad()
        return total, correct


def fix_normalisations(module: nn.Module, sample: LabelledInputs, settings: Optimisation) -> None:
    """Measure mean and variance of every batch normalisation on random training jets, once, before training.

    From then on they are constants, in training as in inference. Batches of similar multiplicity are not random
    samples, so their own means would differ from batch to batch, and training from inference.
    """
    norms = [each for each in module.modules() if isinstance(each, nn.modules.batchnorm._BatchNorm)]  # noqa: SLF001
    if not norms:
        return
    random = np.random.default_rng(settings.seed)
    order = random.permutation(len(sample))[: settings.calibration_jets]
    momenta = [each.momentum for each in norms]
    module.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all batches
    with torch.no_grad():
        for start in range(0, len(order), settings.batch):
            jets = pad(sample.inputs.take(order[start : start + settings.batch]))
            module(jets.features, jets.p4, jets.mask)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def training_mode(module: nn.Module) -> None:
    """Training mode, but for batch normalisations, whose statistics stay as `fix_normalisations` left them."""
    module.train()
    for each in module.modules():
        if isinstance(each, nn.modules.batchnorm._BatchNorm):  # noqa: SLF001 - the only common base of them
            each.eval()


def _groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay; biases, scales and normalisations do not."""
    parameters = list(module.parameters())
    return [
        {"params": [each for each in parameters if each.ndim > 1], "weight_decay": weight_decay},
        {"params": [each for each in parameters if each.ndim <= 1], "weight_decay": 0.0},
    ]


@contextmanager
def _isolated(seed: int, threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)
