"""A training step of ParT, ours and with weaver-core's module: forward, backward, clipping, AdamW, 128 jets.

Part of `benchmarks.side_by_side`, or alone: `python -m benchmarks.training_step FILE.json`. The published network with
the same first weights and dropout; ours takes a step as `training.loop` does, in micro-batches of similar multiplicity,
weaver's as its trainer does, random jets in one padded batch. Gradients are compared first, in inference mode, where no
dropout hides a difference. Speeds are nominal operations a second, a backward pass counted twice a forward pass;
weaver's module leaves out some constituents of the longest jets in training, which is counted as if it had done them.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from benchmarks.networks import Weaver, copy_of, flops, moved, pool_of
from benchmarks.rounds import Way, measure, program, quantity

from jetassay.backbones.card import read_card
from jetassay.backbones.feature_sets import feature_set_of
from jetassay.backbones.loading import build_module
from jetassay.backbones.padding import pad
from jetassay.errors import JetAssayError
from jetassay.features.cutting import between
from jetassay.places import models_folder
from jetassay.progress import Reporter
from jetassay.training.batches import epoch_steps
from jetassay.training.loop import Trainer, training_mode
from jetassay.training.recipe import Optimisation
from jetassay.training.sample import LabelledInputs, TrainingSample

CARD, BATCH, MICRO_BATCH, COMPARED = "part-full", 128, 32, 8
TOLERANCE = 1e-4  # of the largest gradient of a parameter
SETTINGS = {"epochs": 1, "batch": BATCH, "micro_batch": MICRO_BATCH, "learning_rate": 1e-5, "calibration_jets": BATCH}


def loss_of(logits, labels):
    return torch.nn.functional.cross_entropy(logits.float(), labels)


def check_gradients(ours, weaver, jets):
    """Raises `JetAssayError` where a gradient differs in inference mode."""
    labels, padded = torch.arange(len(jets)) % 10, pad(jets)
    ours.eval(), weaver.module.eval()
    loss_of(ours(padded.features, padded.p4, padded.mask)[1], labels).backward()
    features, p4, mask = weaver.ready(jets)
    loss_of(weaver.module(features, v=p4, mask=mask), labels).backward()
    theirs = {name: each.grad.flatten() for name, each in weaver.module.named_parameters()}
    for name, each in ours.named_parameters():
        other = theirs[name if name in theirs else name.replace("in_proj.", "in_proj_")]
        largest = float((each.grad.flatten() - other).abs().max() / other.abs().max().clamp(min=1e-6))
        if not largest <= TOLERANCE:
            raise JetAssayError(f"the gradient of {name} differs from weaver's by {largest:.1e} of its largest number")
    ours.zero_grad(), weaver.module.zero_grad()
    print(f"gradients of {len(jets)} jets agree to {TOLERANCE:.0e}", flush=True)


def weavers_step(weaver, jets, dtype):
    """A function that takes one step with weaver's module."""
    features, p4, mask = weaver.ready(jets)
    labels = torch.zeros(len(jets), dtype=torch.int64)
    optimiser = torch.optim.AdamW(weaver.module.parameters(), lr=1e-5)

    def step():
        with torch.inference_mode(mode=False), torch.enable_grad():
            weaver.module.train()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bfloat16"):
                logits = weaver.module(features, v=p4, mask=mask)
            loss_of(logits, labels).backward()
            torch.nn.utils.clip_grad_norm_(weaver.module.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad()

    return step


def our_step(module, sample, dtype, folder):
    """A function that takes one step as training does."""
    settings = Optimisation(**SETTINGS, seed=1, dtype=dtype)
    trainer = Trainer(module, sample, settings, folder / "checkpoint")
    multiplicities = sample.train.inputs.multiplicities
    (parts,) = list(epoch_steps(multiplicities, batch=BATCH, micro_batch=MICRO_BATCH, seed=1, epoch=0))[:1]

    def step():
        with torch.inference_mode(mode=False), torch.enable_grad(), Reporter(quiet=True).bar("step", BATCH) as bar:
            training_mode(module)
            trainer.step(parts, 1e-5, bar)

    return step, sum(flops(read_card(models_folder() / CARD / "card.toml"), sample.train.inputs.take(p)) for p in parts)


def measure_training():
    """Both sides, timed in interleaved rounds."""
    card = read_card(models_folder() / CARD / "card.toml")
    state = {name: each.clone() for name, each in moved(build_module(card)).state_dict().items()}
    pool = pool_of(feature_set_of(card))
    jets, random = between(pool, 0, 16 * BATCH), between(pool, 0, BATCH)
    labelled = LabelledInputs(jets, np.zeros(len(jets), np.int64))
    sample = TrainingSample(
        train=labelled, validation=labelled, test=labelled, names=card.label_names, digest="benchmark"
    )
    weaver = Weaver(card.parameters, state)
    weaver.module.requires_grad_(requires_grad=True)
    check_gradients(copy_of(card, state), weaver, between(pool, 0, COMPARED))
    with TemporaryDirectory() as folder:
        ways = {}
        for dtype in ("float32", "bfloat16"):
            step, work = our_step(copy_of(card, state), sample, dtype, Path(folder))
            ways["ours", dtype] = Way(step, 3 * work)
            ways["weaver", dtype] = Way(weavers_step(weaver, random, dtype), 3 * flops(card, random))
        return measure(ways)


def quantities_of_training(found):
    """What is compared, by CPU time of the process: a backward pass works on a thread of its own."""
    for ours, theirs in (("float32", "float32"), ("bfloat16", "float32"), ("bfloat16", "bfloat16")):
        name, each = f"step, {ours} / weaver's {theirs}", (found["ours", ours], found["weaver", theirs])
        yield quantity("training", name, *each, clock="process", unit="GFLOP/s")


def main():
    yield {"quantities": quantities_of_training(measure_training())}


if __name__ == "__main__":
    program(main)
