"""Jets per second of each backbone."""

from functools import partial

from jetassay.report.content import Content, Figure, Section, Table
from jetassay.report.figures import throughput_figure
from jetassay.report.tables import throughput_cells


def section(content: Content) -> Section | None:
    """The short measurement of the suite."""
    if not len(content.scores("throughput")):
        return None
    figure = Figure("throughput", partial(throughput_figure, content.frame))
    return Section("Throughput", (Table(throughput_cells(content.frame), "backbone"), figure))
