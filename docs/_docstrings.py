"""For the API pages: lines such as `offsets: int64 (J + 1,)` of a docstring become a list, and doctests become code."""

import re

import griffe

_NAMED = re.compile(r"^([a-z_][\w.]*(?:, [a-z_][\w.]*)*): +(\S.*)$")


class NamedLines(griffe.Extension):
    """Rewrites every docstring that is read."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        if obj.docstring is not None:
            obj.docstring.value = listed(obj.docstring.value)


def listed(text: str) -> str:
    """`text` with paragraphs that are made of named lines, and of their continuations, as lists; doctests fenced."""
    return "\n\n".join(_paragraph(each) for each in text.split("\n\n"))


def _paragraph(text: str) -> str:
    if text.startswith(">>> "):
        return f"```pycon\n{text}\n```"
    lines = text.split("\n")
    if not all(_NAMED.match(line) or line.startswith(" ") for line in lines) or lines[0].startswith(" "):
        return text
    items: list[str] = []
    for line in lines:
        found = _NAMED.match(line)
        if found:
            items.append(f"- `{found[1]}`: {found[2]}")
        else:
            items[-1] += f" {line.strip()}"
    return "\n".join(items)
