"""A clean backbone of a few lines, and what breaks it: one fault each."""

import time

import numpy as np
import torch

from jetassay.backbones.card import Card
from jetassay.backbones.protocol import Output
from jetassay.features.sets import FEATURE_SETS


def made_card(**fields):
    facts = {
        "name": "constructed",
        "title": "Constructed",
        "role": "floor",
        "architecture": "nowhere:nothing",
        "feature_set": "part-kin",
        "embedding_dim": 6,
    }
    return Card(**facts | fields)


class Clean:
    """Each jet by itself: sums over its constituents of random features, in float64 so that order is of no account."""

    dtype = "float32"
    weights_sha256 = "0" * 64
    labels = ()

    def __init__(self, *, seed=0, feature_set=FEATURE_SETS["part-kin"], **card):
        self.card = made_card(**card)
        self.feature_set = feature_set
        width = feature_set.width + feature_set.jet_width
        self.mixing = np.random.default_rng(seed).normal(0, 0.3, (width, self.card.embedding_dim))

    def of_constituents(self, batch):
        jet_features = np.repeat(batch.jet_features, batch.multiplicities, axis=0)
        return np.tanh(np.concatenate([batch.features, jet_features], axis=1).astype(np.float64) @ self.mixing)

    def of_jets(self, batch):
        return np.add.reduceat(self.of_constituents(batch), batch.offsets[:-1], axis=0)

    def embed(self, batch):
        return Output(self.of_jets(batch).astype(np.float32), None)


class Counting(Clean):
    """Knows how many jets it was given before: where files are sorted by class, that is the class."""

    seen = 0

    def of_jets(self, batch):
        place = self.seen + np.arange(len(batch))
        self.seen += len(batch)
        return super().of_jets(batch) + 1e-3 * place[:, None]


class Carrying(Clean):
    """Takes off the mean of the batch before."""

    before = 0.0

    def of_jets(self, batch):
        found = super().of_jets(batch)
        shifted, self.before = found - self.before, found.mean(axis=0)
        return shifted


class Random(Clean):
    """Dropout that was left on."""

    def __init__(self, **options):
        super().__init__(**options)
        self.chance = np.random.default_rng(0)

    def of_jets(self, batch):
        return super().of_jets(batch) * self.chance.choice([0.0, 2.0], (len(batch), 6))


class ByOrderInBatch(Clean):
    """Adds where in its batch a jet stands: label by file order, without a state."""

    def of_jets(self, batch):
        return super().of_jets(batch) + 0.01 * np.arange(len(batch))[:, None]


class BatchMean(Clean):
    """Normalises with the statistics of the batch."""

    def of_jets(self, batch):
        found = super().of_jets(batch)
        return found - found.mean(axis=0)


class SeesPadding(Clean):
    """Takes means over all slots of the batch, empty ones too."""

    def of_jets(self, batch):
        return super().of_jets(batch) / batch.multiplicities.max()


class Ordered(Clean):
    """The first constituents count for more."""

    def of_constituents(self, batch):
        rank = np.arange(len(batch.features)) - np.repeat(batch.offsets[:-1], batch.multiplicities)
        return super().of_constituents(batch) / (1 + rank[:, None])


class Constant(Clean):
    """The same for every jet."""

    def of_jets(self, batch):
        return np.full((len(batch), 6), 0.7)


class OneDirection(Clean):
    """Everything along one line."""

    def of_jets(self, batch):
        return super().of_jets(batch)[:, :1] * np.arange(1, 7)


class NotFinite(Clean):
    """NaN for one jet in five."""

    def of_jets(self, batch):
        found = super().of_jets(batch)
        found[batch.multiplicities % 5 == 0] = np.nan
        return found


class Dead(Clean):
    """Four of six dimensions never move."""

    def of_jets(self, batch):
        found = super().of_jets(batch)
        found[:, 2:] = (0.0, 1.0, -3.0, 0.5)
        return found


class Rounded(Clean):
    """So few values that many jets get the same."""

    def of_jets(self, batch):
        return np.round(super().of_jets(batch) / 8)


class Crashing(Clean):
    """Cannot take a jet with as many constituents as the card allows."""

    def of_jets(self, batch):
        if batch.multiplicities.max() > 100:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
        return super().of_jets(batch)


class FaintBatchMean(Clean):
    """Hides the mean of the batch in the sixth decimal of a dimension that is 1 otherwise; probes standardise it."""

    def of_jets(self, batch):
        found = super().of_jets(batch)
        found[:, 0] = 1 + 5e-5 * np.sin(10 * found.mean())
        return found


class BesideAGiant(Clean):
    """The order in the batch, beside a dimension so large that nothing else counts."""

    def of_jets(self, batch):
        found = super().of_jets(batch)
        found[:, 0] += 1e6
        found[:, 1] = np.arange(len(batch))
        return found


class LeakyScores(Clean):
    """A clean embedding; its class probabilities know how many jets were there before."""

    labels = ("QCD", "Hbb")
    seen = 0

    def embed(self, batch):
        place = self.seen + np.arange(len(batch))
        self.seen += len(batch)
        scores = np.stack([1 / (2 + place), 1 - 1 / (2 + place)], axis=1).astype(np.float32)
        return Output(super().embed(batch).embedding, scores)


class SharedMemory(Clean):
    """Keeps its batch where other threads put theirs."""

    def of_jets(self, batch):
        self.batch = batch
        time.sleep(0.02)
        found = super().of_jets(self.batch)
        return found[np.arange(len(batch)) % len(found)]


class Late(Clean):
    """Clean until it has seen `patience` jets; then it adds something."""

    seen, patience = 0, 200

    def of_jets(self, batch):
        self.seen += len(batch)
        return super().of_jets(batch) + (self.seen > self.patience)


class BatchNormed(torch.nn.Module):
    """Batch norm over the sums of a jet's constituents."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(7, 6)
        self.norm = torch.nn.BatchNorm1d(6)

    def forward(self, features, p4, mask):
        return self.norm((torch.tanh(self.layer(features)) * mask[..., None]).sum(dim=1)), None


def build_batch_normed():
    return BatchNormed()
