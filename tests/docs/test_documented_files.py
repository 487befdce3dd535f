"""TOML in the documentation is what it says that it is: a suite or a part of one, a card, a dataset's card."""

import tomllib

import pytest
from documented import blocks, pages

from jetassay.backbones.card import Card
from jetassay.jets.catalogue import DatasetCard
from jetassay.suite import Suite

WHOLE = {
    "name": "some",
    "title": "Some",
    "backbones": ["part-mini", "mlp", "part-mini-untrained", "part-mini-untrained-2", "sophon-mini"],
    "dataset": {"card": "jetclass-sim"},
    "split": {"train": 1, "validation": 1, "test": 1},
    "probe": {},
    "comparison": {},
}
CARD = {
    "name": "some",
    "title": "Some",
    "architecture": "some.module:build",
    "feature_set": "part-full",
    "embedding_dim": 64,
    "role": "floor",
}
PART_OF_A_CARD = "docs/howto-layers.md:5"  # [layers] of a card looks like a table of a suite
TOML = [block for page in pages() for block in blocks(page) if block.language == "toml"]


def complete(value):
    """`sha256 = "..."` stands for a hash."""
    if isinstance(value, dict):
        return {key: complete(each) for key, each in value.items()}
    return "0" * 64 if value == "..." else value


@pytest.mark.parametrize("block", TOML, ids=str)
def test_a_table_is_accepted_as_it_stands(block):
    table = complete(tomllib.loads(block.text))
    if "build-system" in table:  # a package's pyproject.toml, which tests/test_plugins.py installs
        return
    if "layouts" in table:
        DatasetCard.model_validate(table)
    elif set(table) <= set(Suite.model_fields) and str(block) != PART_OF_A_CARD:
        tasks = table.pop("tasks", {})  # those of a plug-in are known where it is installed
        assert all(isinstance(options, dict) for options in tasks.values())
        Suite.model_validate(WHOLE | table)
    else:
        own = {"role": "control"} if "untrained_twin_of" in table else {}
        Card.model_validate(CARD | own | table)
