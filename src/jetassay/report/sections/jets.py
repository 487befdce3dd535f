"""How many jets of which class went in."""

from jetassay.report.content import Content, Section, Table


def section(content: Content) -> Section:
    """Jets of each split and class; entries = jets + dropped."""
    return Section("Jets", (Table(content.counts, "split"),))
