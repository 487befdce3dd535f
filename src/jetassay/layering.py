"""All layers of backbones on the same test jets, each backbone in one pass: what the study of layers is measured on."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from jetassay.errors import ConfigError, JetAssayError, LeakageError
from jetassay.jets.dataset import Dataset
from jetassay.progress import Reporter
from jetassay.scoring import Files, sample_of
from jetassay.suite import Suite
from jetassay.tasks.layers import Layers

if TYPE_CHECKING:
    from jetassay.backbones.protocol import Backbone


def layered(suite: Suite, backbones: "Mapping[str, Backbone]") -> list[str]:
    """The backbones whose layers the suite compares; none without its table [layers].

    Raises `ConfigError` for one whose card names no layers, or where there is none at all.
    """
    if suite.layers is None:
        return []
    have = [name for name, each in backbones.items() if each.card.layers and each.card.inner_layer is None]
    wanted = list(suite.layers.backbones) or have
    without = [name for name in wanted if name not in have]
    if without or not wanted:
        raise ConfigError(
            f"[layers]: the card of {', '.join(without) or 'every backbone of the suite'} names no layers; those of "
            f"{', '.join(have) or 'none of its backbones'} do"
        )
    return wanted


def embed_layers(
    suite: Suite, backbones: "Mapping[str, Backbone]", dataset: Dataset, splits: Files, *, reporter: Reporter
) -> tuple[dict[str, Layers], dict[str, str]]:
    """All layers of the backbones that [layers] names, on the first jets of each test file; stored like any other.

    One more pass over these jets, whatever the number of layers. Also gives the backbones whose layers cannot be had,
    such as one with NaN in an inner layer, and why. Raises `ConfigError` as `layered`, and `LeakageError`.
    """
    from jetassay.backbones.card import ALL_LAYERS
    from jetassay.backbones.loading import load_backbone
    from jetassay.embeddings.datasets import default_store, embed_dataset

    if suite.layers is None:
        return {}, {}
    chosen = replace(dataset, files=splits["test"]).limited(suite.layers.jets)
    found, problems = {}, {}
    for name in layered(suite, backbones):
        card, device = backbones[name].card, getattr(backbones[name], "device", "cpu")
        try:
            embedded = embed_dataset(
                load_backbone(card.at(ALL_LAYERS), device=str(device), dtype=suite.dtype, reporter=reporter),
                chosen,
                store=default_store(),
                on_invalid=suite.dataset.on_invalid,
                threads=suite.threads,
                reporter=reporter,
            )
        except (ConfigError, LeakageError):
            raise
        except JetAssayError as error:
            problems[name] = str(error)
            continue
        found[name] = Layers(sample_of(embedded, chosen.files), card.layers)
    return found, problems
