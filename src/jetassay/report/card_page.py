"""A backbone's card as a page for people: `jetassay card NAME`. Markdown, or one plain HTML file."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from jetassay.backbones.card import Card
from jetassay.backbones.feature_sets import feature_set_of
from jetassay.backbones.weights import weights_state
from jetassay.errors import ConfigError
from jetassay.features.recipe import Feature
from jetassay.places import workspace
from jetassay.report.content import Section, Table, Text
from jetassay.report.page import document
from jetassay.report.published import Number, of_card
from jetassay.report.reference import cells, source_text
from jetassay.report.results import load_results
from jetassay.report.tables import REJECTION, leaderboard_cells, markdown
from jetassay.whole_files import whole_file

_ENDINGS = (".md", ".html")


def card_page(card: Card, *, output: Path | None = None, force: bool = False) -> str:
    """The page as Markdown; or written to `output`, whose path is then given back.

    Raises `ConfigError` for an ending that is neither .md nor .html, and for a file in the way without `force`.
    """
    if output is None:
        return _markdown(card, list(sections(card)))
    if output.suffix not in _ENDINGS:
        raise ConfigError(f"{output}: a page is written as {' or '.join(_ENDINGS)}; name the file so")
    if output.exists() and not force:
        raise ConfigError(f"{output}: is there already; give --force to overwrite it")
    parts = list(sections(card))
    page = _markdown(card, parts) if output.suffix == ".md" else document(parts, title=card.name, lead=card.title)
    with whole_file(output) as partial:
        partial.write_text(page + "\n", encoding="utf-8")
    return str(output)


def sections(card: Card) -> Iterator[Section]:
    """Every part of a card's page, in order."""
    yield _part("Facts", table=_two_columns(_facts(card)), corner="fact")
    yield from _inputs(card)
    if card.label_names:
        yield _part("Labels", (f"{len(card.label_names)} output classes, in this order:", ", ".join(card.label_names)))
    yield _training(card)
    yield from _published(card)
    yield from _measured(card)
    limits = [" ".join(card.notes.split())] if card.notes else []
    if not card.permutation_invariant:
        limits.append("The order of constituents matters: they stand by falling pT.")
    limits.append(f"Jets are cut to their {card.max_constituents} constituents of highest pT.")
    yield _part("Known limits and notes", tuple(limits))


def parameter_count(card: Card) -> int | None:
    """Trainable numbers of the architecture; None where it is not built from parameters alone, or has none."""
    from jetassay.backbones.loading import build_module

    module, _, function = card.architecture.partition(":")
    if function != "build" or not module.startswith("jetassay.backbones."):
        return None
    return sum(each.numel() for each in build_module(card).parameters()) or None


def _facts(card: Card) -> Iterator[tuple[str, str]]:
    yield "role", card.role
    yield "paper", card.paper or "none"
    yield "architecture", card.architecture
    yield "parameters", f"{count:,}" if (count := parameter_count(card)) else "not counted"
    yield "embedding", f"{card.embedding_dim} numbers a jet"
    if card.layers:
        yield "layers", ", ".join(f"{name} ({width})" for name, width in card.layers.items())
    yield "weights", weights_state(card)
    if card.weights is not None:
        yield "licence of the weights", card.weights.licence
        yield "origin", ", ".join(card.weights.urls) or "trained by this project, shipped with it"
        known = {"sha256": card.weights.sha256, "git blob": card.weights.git_blob}
        yield from ((f"weights, {name}", value) for name, value in known.items() if value)
    if card.untrained_twin_of:
        yield "random twin of", f"{card.untrained_twin_of}, seed {card.seed}"


def _inputs(card: Card) -> Iterator[Section]:
    recipe = feature_set_of(card)
    text = (f"{recipe.title} (feature set `{recipe.name}`). Each input is (feature - shift) * scale, then clipped.",)
    for title, features in (
        ("Inputs of each constituent", recipe.features),
        ("Inputs of each jet", recipe.jet_features),
    ):
        if features:
            yield _part(title, text, _recipe(features), "feature")


def _recipe(features: Sequence[Feature]) -> pd.DataFrame:
    rows = [
        (
            f"{each.shift:g}",
            f"{each.scale:g}",
            f"{each.clip[0]:g} to {each.clip[1]:g}" if each.clip else "",
            each.source,
        )
        for each in features
    ]
    return pd.DataFrame(rows, index=[each.name for each in features], columns=["shift", "scale", "clip", "source"])


def _training(card: Card) -> Section:
    if not card.trained_on and card.training is None:
        return _part("Trained on", ("Nothing.",) if card.role != "backbone" else ("The card does not say.",))
    text = (f"Datasets seen in training: {', '.join(card.trained_on) or 'none named'}.",)
    if card.training is None:
        return _part("Trained on", text)
    training = card.training
    sample, steps = (training.recipe.get(name, {}) for name in ("sample", "optimisation"))
    facts = {
        "jets": f"{training.jets:,}",
        "data digest": training.data_digest,
        "seed": training.seed,
        "seed of the simulation": sample.get("seed", ""),
        **{name: steps[name] for name in ("epochs", "batch", "learning_rate", "weight_decay") if name in steps},
        **training.environment,
    }
    return _part("Trained on", text, _two_columns((name, str(value)) for name, value in facts.items()), "fact")


def _published(card: Card) -> Iterator[Section]:
    groups: dict[tuple[str, str], list[Number]] = {}
    for number in of_card(card.name):
        groups.setdefault((number.dataset, number.how), []).append(number)
    for (dataset, how), numbers in groups.items():
        keys = list(dict.fromkeys(number.source for number in numbers))
        text = tuple(f"[{k + 1}] {source_text(key)}" for k, key in enumerate(keys))
        yield _part(f"Published numbers: {dataset}, {how}", text, cells(numbers, keys=keys), "model")


def _measured(card: Card) -> Iterator[Section]:
    if card.training is not None and card.training.measured:
        text = ("After training, on files that neither training nor the choice of the epoch saw.",)
        yield _part("Measured by this project", text, _two_columns(_numbers(card.training.measured)), "number")
    for path in sorted((workspace() / "reports").glob("*/scores.parquet")):
        yield from _measured_in(path.parent.name, card)


def _measured_in(suite: str, card: Card) -> Iterator[Section]:
    title = f"Measured in suite {suite}"
    try:
        results = load_results(suite)
    except ConfigError as error:
        yield _part(title, (str(error),))
        return
    frame = results.frame[results.frame["task"] == "probe"]
    frame = frame[frame["backbone"].astype(str).str.partition("@")[0] == card.name]
    if not len(frame):
        return
    where = f"dataset {frame['dataset'].iloc[0]}, data digest {frame['data_digest'].iloc[0]}"
    when = results.provenance.get("created", "an unknown time")
    seen = sorted(
        {
            f"{name} has seen these jets in training: {results.seen[name]}."
            for name in results.seen.keys() & {*frame["backbone"]}
        }
    )
    cells = {"AUC": leaderboard_cells(frame, "auc"), "rejection": leaderboard_cells(frame, REJECTION)}
    columns = {f"{name}, {what}": table.loc[name] for what, table in cells.items() for name in table.index}
    text = (f"Linear probe of each signal against QCD, run at {when}; {where}.", *seen)
    yield _part(title, text, pd.DataFrame(columns), "signal")


def _numbers(numbers: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    return ((name, f"{value:.15g}") for name, value in numbers.items())


def _two_columns(facts: Iterator[tuple[str, str]]) -> pd.DataFrame:
    rows = list(facts)
    return pd.DataFrame({"value": [value for _, value in rows]}, index=[name for name, _ in rows])


def _part(title: str, text: Sequence[str] = (), table: pd.DataFrame | None = None, corner: str = "") -> Section:
    """Paragraphs, then a table where there is one."""
    paragraphs = tuple(Text(each) for each in text)
    return Section(title, paragraphs if table is None else (*paragraphs, Table(table, corner, kind="text")))


def _markdown(card: Card, parts: Sequence[Section]) -> str:
    lines = [f"# {card.name}", card.title]
    for part in parts:
        lines.append(f"## {part.title}")
        for block in part.blocks:
            if isinstance(block, Text):
                lines.append(block.text)
            elif isinstance(block, Table):
                escaped = block.cells.map(lambda cell: str(cell).replace("|", "\\|"))
                lines.append(markdown(escaped, corner=block.corner))
    return "\n\n".join(lines)
