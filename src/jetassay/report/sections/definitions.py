"""How the numbers are defined, by the tasks themselves; every other section points here."""

from jetassay.report.content import Content, Section, Text


def section(content: Content) -> Section | None:
    """Every paragraph of the protocol."""
    if not content.protocol:
        return None
    paragraphs = enumerate(content.protocol.split("\n\n"))
    blocks = (Text(paragraph, "note", anchor=_anchor(k)) for k, paragraph in paragraphs)
    return Section("How the numbers are defined", tuple(blocks))


def anchor_of(words: str, protocol: str) -> str:
    """Where on the page the paragraph stands that begins with these words and a comma, colon or full stop.

    Empty where none does.
    """
    beginnings = tuple(f"{words}{mark}" for mark in ",:.")
    return next((_anchor(k) for k, each in enumerate(protocol.split("\n\n")) if each.startswith(beginnings)), "")


def _anchor(k: int) -> str:
    return f"definition-{k + 1}"
