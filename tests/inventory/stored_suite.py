"""A suite that uses everything the store can hold."""

from jetassay.auditing import audit_all
from jetassay.progress import Reporter
from jetassay.steps import embed_all, find_jets, load_backbones, split_jets
from jetassay.suite import Suite

QUIET = Reporter(quiet=True)

CARD = """
name = "two-classes"
title = "Two classes, simulated"
schema = "jetclass"
[simulation]
classes = ["QCD", "Hbb"]
jets = 36
files = 3
seed = 11
"""


def suite_on(card, **changes):
    table = {
        "name": "mine",
        "title": "Mine",
        "backbones": ["tiny-1", "jet-observables"],
        "dataset": {"card": str(card)},
        "split": {"train": 1, "validation": 1, "test": 1},
        "probe": {"signals": ["Hbb"]},
        "layers": {"jets": 10},
        "robustness": {"perturbations": ["drop=0.3"], "modes": ["ideal"], "jets": 8},
    }
    return Suite.model_validate(table | changes)


def embed_again(suite, *, audit=False, reporter=QUIET):
    """Embed the jets of `suite`, and audit its backbones, without leaving results; gives the number of main shards."""
    backbones = load_backbones(suite, device="cpu", reporter=reporter)
    dataset = find_jets(suite.dataset, reporter=reporter)
    splits = split_jets(suite, dataset)
    embedded = embed_all(suite, backbones, dataset, splits, reporter=reporter)
    if audit:
        audit_all(suite, backbones, dataset=dataset, splits=splits, embedded=embedded, reporter=reporter)
    return len(dataset.files) * len(backbones)
