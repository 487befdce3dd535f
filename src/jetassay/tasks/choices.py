"""What a suite may ask of each task: the keys of its table, which are the arguments of the task's function."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from jetassay.jets.classes import BACKGROUND, SIGNAL_NAMES
from jetassay.records import Record
from jetassay.tasks.grouping import Grouping

Seed = Annotated[int, Field(ge=0, lt=2**63)]


class Against(Record):
    """Which classes are measured against which; without a word, the nine signals of JetClass against QCD.

    Where the background is QCD, signals are those of JetClass; against another label of a dataset, any of its labels.
    """

    signals: tuple[str, ...] = Field(default=SIGNAL_NAMES, min_length=1)
    background: str = BACKGROUND
    seed: Seed = 0

    @model_validator(mode="after")
    def _known_signals(self) -> Self:
        unknown = sorted(set(self.signals) - set(SIGNAL_NAMES)) if self.background == BACKGROUND else []
        if unknown:
            known = f"{', '.join(SIGNAL_NAMES)} (the background is {BACKGROUND})"
            raise ValueError(f"unknown signals {', '.join(unknown)}; known: {known}")
        if self.background in self.signals:
            raise ValueError(f"{self.background} is the background and cannot be a signal too")
        return self


class ProbeChoice(Against):
    """The linear probe of every signal against the background."""


class ZeroShotChoice(Against):
    """A classifier's own outputs: every signal against the background, and all classes together.

    groupings: how outputs stand for classes, before the groupings that ship
    """

    groupings: tuple[Grouping, ...] = ()

    @model_validator(mode="after")
    def _no_output_on_both_sides(self) -> Self:
        for grouping in self.groupings:
            for signal in self.signals:
                shared = grouping.shared(signal, self.background)
                if shared:
                    raise ValueError(f"on both sides of {signal} against {self.background}: {', '.join(shared)}")
        return self


class SimilarityChoice(Record):
    """CKA between all pairs of backbones on the test jets, and on those of the background alone."""

    background: str = BACKGROUND
    permutations: int = Field(default=99, gt=0)
    seed: Seed = 0


class ShuffledLabelsChoice(Against):
    """The floor: linear probes of every signal against the background, on shuffled training labels."""

    permutations: int = Field(default=50, ge=2)


class ThroughputChoice(Record):
    """The short form of the throughput measurement: each backbone embeds the same jets, interleaved."""

    jets: int = Field(default=512, gt=0)
    rounds: int = Field(default=3, gt=0)
