"""Whether a backbone has seen a dataset in training, as far as its card says."""

from jetassay.backbones.card import Card


def seen_in_training(card: Card, *, dataset: str, digest: str) -> str | None:
    """Why the dataset `dataset` with the content `digest` counts as seen, in a few words; None where it does not.

    A published dataset counts as a whole: which of its files a training took, the card's notes say.
    """
    if card.training is not None and card.training.data_digest == digest:
        return "trained on exactly these files"
    if dataset in card.trained_on:
        return f"trained on {dataset}"
    return None
