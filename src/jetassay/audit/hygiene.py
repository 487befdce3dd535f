"""Which jets a number rests on: none in two splits, none that the backbone was trained on."""

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np

from jetassay.audit.finding import Finding, Status
from jetassay.audit.fingerprints import Fingerprints
from jetassay.audit.subject import Subject
from jetassay.backbones.card import Card
from jetassay.backbones.seen import seen_in_training

_TOGETHER = 1 << 20
"""Hashes that are sorted in memory at once."""


def splits(subject: Subject) -> Iterator[Finding]:
    """No file in two splits, and no jet, found by a hash of its constituents."""
    found = subject.jets.fingerprints
    shared, doubles = find_doubles(found)
    twice = [
        f"{file.name} is in {first} and {second}"
        for first, second in combinations(subject.files, 2)
        for file in subject.files[first]
        if file.digest in {other.digest for other in subject.files[second]}
    ]
    said = [*twice, *(f"{names}: {count} jets ({example})" for names, (count, example) in shared.items() if count)]
    jets = sum(map(len, found.values()))
    yield Finding(
        check="splits",
        status="fail" if said else "note" if doubles else "pass",
        figure=f"{sum(count for count, _ in shared.values())} of {jets} jets",
        meaning=f"The same jets are in two splits: {'; '.join(said)}. Remove these files or jets."
        if said
        else f"No jet is in two splits, but {doubles} are twice in one; intervals take them for independent."
        if doubles
        else "No jet is in two splits, by the hash of its constituents; splits are by file.",
        numbers={"shared": sum(count for count, _ in shared.values()), "doubles": doubles, "jets": jets},
    )


def training_overlap(subject: Subject) -> Iterator[Finding]:
    """None of the jets was seen in training, as far as card and files say."""
    card, dataset = subject.backbone.card, subject.dataset
    status: Status = "pass"
    figure, meaning = "", "Nothing was trained."
    again = simulated_again(card, subject.jets.simulations)
    seen = seen_in_training(card, dataset=dataset.name, digest=dataset.digest)
    if again:
        status, figure = "fail", f"{len(again)} files"
        meaning = f"Simulated with the seed of the training, so these are its jets: {', '.join(sorted(again)[:3])}."
    elif seen and card.training is not None and card.training.data_digest == dataset.digest:
        status, meaning = "fail", f"{seen[0].upper()}{seen[1:]}; take other jets."
    elif seen:
        status, meaning = "note", f"It was {seen}; which of its files, the card's notes say. Its numbers are marked."
    elif card.trained_on:
        meaning = f"Trained on {', '.join(card.trained_on)}, of which these files are none."
    elif card.weights is not None:
        status, meaning = "note", "The card does not say what it was trained on (`trained_on`), so this is not known."
    yield Finding(check="training-overlap", status=status, figure=figure, meaning=meaning)


def simulated_again(card: Card, simulations: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names of files that were simulated with kind and seed of the card's training: a jet follows from these.

    simulations: file name -> the facts that its simulation noted; see `simulation.writing`
    """
    sample = card.training.recipe.get("sample", {}) if card.training is not None else {}
    if "seed" not in sample:
        return []
    wanted = sample.get("kind"), sample["seed"]
    return [name for name, facts in simulations.items() if (facts.get("kind"), facts.get("seed")) == wanted]


def find_doubles(found: Mapping[str, Fingerprints]) -> tuple[dict[str, tuple[int, str]], int]:
    """Jets of every two splits that are in both, with an example; and how many are more than once in one.

    Looked for among about `_TOGETHER` jets at a time: equal ones have equal hashes, and come together.
    """
    of = 1 + sum(map(len, found.values())) // _TOGETHER
    shared, doubles = {f"{first} and {second}": (0, "") for first, second in combinations(found, 2)}, 0
    for number in range(of):
        some = {name: each.bucket(number, of=of) for name, each in found.items()}
        doubles += sum(len(each) - len(np.unique(each.hashes)) for each in some.values())
        for first, second in combinations(some, 2):
            count, example = shared[f"{first} and {second}"]
            more, another = _shared(some[first], some[second])
            shared[f"{first} and {second}"] = count + more, example or another
    return shared, doubles


def _shared(one: Fingerprints, other: Fingerprints) -> tuple[int, str]:
    """How many jets are in both, and the files of the first of them."""
    common, ours, theirs = np.intersect1d(one.hashes, other.hashes, return_indices=True)
    if not len(common):
        return 0, ""
    return len(common), f"{one.files[one.file[ours[0]]]} and {other.files[other.file[theirs[0]]]}"
