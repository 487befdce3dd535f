"""What the suite asked for and did not get, and what does not exist."""

from jetassay.report.content import Block, Content, Section, Text

MISSING, UNDEFINED = "missing", "undefined"
"""Where provenance keeps them: sentences, one for each."""


def section(content: Content) -> Section | None:
    """What is missing first, as failures; then what is not defined, which is none."""
    blocks: list[Block] = [Text(each, "failure") for each in content.provenance.get(MISSING, ())]
    blocks += [Text(f"Not defined: {each}.", "note") for each in content.provenance.get(UNDEFINED, ())]
    return Section("Missing and not defined", tuple(blocks)) if blocks else None
