"""How alike the embeddings of the backbones are."""

from functools import partial

from jetassay.report.content import Block, Content, Figure, Row, Section, Text
from jetassay.report.figures import cka_figure
from jetassay.report.tables import matrix
from jetassay.tasks.catalogue import SIMILARITY_FAMILIES

_EMPTY = "An empty cell is a pair that no result holds: only a suite with both backbones measures how alike they are."


def section(content: Content) -> Section | None:
    """Debiased linear CKA of all pairs, over all test jets and within the background.

    Left out where the suite measures similarity by several measures, of which this is one.
    """
    if len(content.scores(SIMILARITY_FAMILIES.name)):
        return None
    scores = content.scores("similarity", "cka")
    samples = sorted(scores["bin"].dropna().unique(), reverse=True)
    if not samples:
        return None
    figures = (Figure(f"cka_{where}", partial(cka_figure, scores, where=where)) for where in samples)
    blocks: list[Block] = [Row(tuple(figures))]
    if any(matrix(scores, "cka", where=where).isna().any(axis=None) for where in samples):
        blocks.append(Text(_EMPTY, "note"))
    return Section("Similarity of the embeddings", tuple(blocks), ("Similarity",))
