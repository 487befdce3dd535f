"""Cards whose weights are not on this machine, with random ones: memory and time are those of the network."""

from jetassay.backbones.catalogue import backbone_cards, find_card
from jetassay.backbones.weights import weights_state


def card_here(name):
    """The card of this name; where its weights are missing, as an untrained control."""
    card = find_card(backbone_cards(), name)
    if weights_state(card) != "weights missing":
        return card
    untrained = {"role": "control", "untrained_twin_of": name, "seed": 1, "weights": None, "folder": None}
    return card.model_copy(update=untrained)
