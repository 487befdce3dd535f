"""What the suite asked for and did not get, and what does not exist."""

from jetassay.report.content import Content, Section, Text

MISSING, UNDEFINED = "missing", "undefined"
"""Where provenance keeps them: sentences, one for each."""


def section(content: Content) -> Section | None:
    """What is missing, and what is not ranked, each as a failure."""
    unranked = (f"{name}: {why}" for name, why in content.unranked.items())
    blocks = tuple(Text(each, "failure") for each in (*content.provenance.get(MISSING, ()), *unranked))
    return Section("Missing", blocks) if blocks else None


def undefined(content: Content) -> Section | None:
    """What no number exists of, and why; nothing is missing."""
    blocks = tuple(Text(f"{each}.") for each in content.provenance.get(UNDEFINED, ()))
    return Section("Not defined", blocks) if blocks else None
