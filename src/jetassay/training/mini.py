"""`make train-mini`: from a recipe to weights that ship, in one call."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from jetassay.backbones.architecture import call_architecture, find_architecture
from jetassay.backbones.padding import pad
from jetassay.errors import ConfigError, InterruptedRunError
from jetassay.places import cache_folder, models_folder
from jetassay.progress import Reporter
from jetassay.training.evaluation import measure
from jetassay.training.loop import predict, train
from jetassay.training.product import write_product
from jetassay.training.recipe import TrainingRecipe, read_training_recipe, trained_names
from jetassay.training.sample import TrainingSample, load_sample


def train_mini(
    names: Iterable[str] | None = None, *, workers: int | None = None, reporter: Reporter | None = None
) -> list[Path]:
    """Train the networks `names` (all that have a recipe by default) and write `models/NAME`; gives the cards.

    Jets are simulated once and kept in the cache, and so are checkpoints after each epoch: a training that was
    stopped goes on where it was. workers: processes that simulate, one per core if None.

    Raises `ConfigError` for an unknown name or a wrong recipe, `InterruptedRunError` on Ctrl-C.
    """
    reporter = reporter or Reporter()
    recipes = [read_training_recipe(name) for name in (names or trained_names())]
    return [train_one(recipe, workers=workers, reporter=reporter, folder=models_folder()) for recipe in recipes]


def train_one(recipe: TrainingRecipe, *, folder: Path, workers: int | None, reporter: Reporter) -> Path:
    """Simulate, train, measure on files that neither training nor the choice of the epoch saw, and write the card."""
    sample = load_sample(recipe, workers=workers, reporter=reporter)
    reporter.line(
        f"{recipe.name}: {len(sample.train)} jets train, {len(sample.validation)} validate, {len(sample.test)} test"
    )
    require_fit(recipe, sample)
    checkpoint = checkpoint_path(recipe, data_digest=sample.digest)
    try:
        progress = train(partial(build, recipe), sample, recipe.optimisation, checkpoint=checkpoint, reporter=reporter)
    except KeyboardInterrupt as stop:
        raise InterruptedRunError(
            f"Training of {recipe.name} stopped; whole epochs are kept in {checkpoint}. "
            "The same command goes on from there."
        ) from stop
    module = build(recipe)
    module.load_state_dict(progress.best_weights)
    performance = measure(predict(module, sample.test), sample.test.labels, sample.names)
    card = write_product(folder / recipe.name, recipe, sample, progress, performance)
    reporter.line(f"{recipe.name}: test accuracy {performance.accuracy:.4f}; {card} written")
    return card


def build(recipe: TrainingRecipe) -> nn.Module:
    """The untrained network of a recipe, with weights from torch's current random state.

    Raises `ConfigError` where there is no such architecture, or it refuses the parameters.
    """
    function = find_architecture(recipe.architecture, owner=recipe.name)
    module: nn.Module = call_architecture(recipe.architecture, function, dict(recipe.parameters), owner=recipe.name)
    return module


def require_fit(recipe: TrainingRecipe, sample: TrainingSample) -> None:
    """Raises `ConfigError` where the network does not take these inputs, or gives other widths than it should."""
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        module = build(recipe).eval()
        jet = pad(sample.train.inputs.take(np.zeros(1, np.int64)))
        try:
            embedding, logits = module(jet.features, jet.p4, jet.mask)
        except (RuntimeError, TypeError) as error:
            raise ConfigError(
                f"{recipe.name}: the network does not take inputs of feature set '{recipe.feature_set}': {error}"
            ) from error
    got = {"embedding_dim": embedding.shape[-1], "labels": logits.shape[-1]}
    wanted = {"embedding_dim": recipe.embedding_dim, "labels": len(sample.names)}
    if got != wanted:
        raise ConfigError(f"{recipe.name}: the recipe wants {wanted}, the network gives {got}; correct the recipe")


def checkpoint_path(recipe: TrainingRecipe, *, data_digest: str) -> Path:
    """Where the state of this training on these jets is kept."""
    return cache_folder() / "training" / f"{recipe.name}-{recipe.digest()[:12]}-{data_digest[:12]}.pt"
