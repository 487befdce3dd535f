"""How alike the layers of backbones are, from the first to the embedding."""

from functools import partial

from jetassay.report.content import Content, Figure, Row, Section
from jetassay.report.similarity_figures import NAMES, layers_figure


def section(content: Content) -> Section | None:
    """Layer by layer, within backbones and across, over all test jets and within the background."""
    table = content.tables.get("layer_similarity")
    if table is None or not len(table):
        return None
    figures = []
    for metric, where in (("linear_cka", "all"), ("linear_cka", None), ("rbf_cka", "all")):
        inside = table["bin"] == where if where is not None else table["bin"] != "all"
        chosen = table[(table["metric"] == metric) & inside]
        if not len(chosen):
            continue
        jets, name = int(chosen["n_jets"].iloc[0]), str(chosen["bin"].iloc[0])
        of = "all test jets taken" if where else f"{name} alone"
        caption = f"{NAMES[metric]}, {of} ({jets}). Each backbone from its first layer to its embedding."
        figures.append(Figure(f"layers_{metric}_{name}", partial(layers_figure, chosen), caption))
    return Section("Layers", tuple(Row((each,)) for each in figures), ("Layers",))
