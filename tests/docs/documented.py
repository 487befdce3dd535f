"""What README and docs/ contain: blocks of code, the files that they describe, commands in sentences."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from jetassay.places import project_root

PROGRAMS = ("jetassay", ".venv/bin/jetassay", "make", "python")
_FENCE = re.compile(r"^( *)```(\w*)$")
_INLINE = re.compile(r"`([^`\n]+(?:\n[^`\n]+)?)`")
_TARGET = re.compile(r"^`([\w./-]+)`:$")


@dataclass(frozen=True)
class Block:
    """One fenced block. target: the file whose content it is, where the line before says so."""

    page: str
    line: int
    language: str
    text: str
    target: str | None

    def __str__(self):
        return f"{self.page}:{self.line}"


def pages() -> dict[str, Path]:
    root = project_root()
    return {str(path.relative_to(root)): path for path in (root / "README.md", *sorted((root / "docs").rglob("*.md")))}


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page. A fence without a language is one of commands."""
    found, opened, before = [], None, ""
    for number, line in enumerate(pages()[page].read_text().splitlines(), 1):
        fence = _FENCE.match(line)
        if fence and opened is None:
            target = _TARGET.match(before)
            opened = (number, fence[2] or "sh", [], target and target[1], len(fence[1]))
        elif fence:
            start, language, lines, target, _ = opened
            found.append(Block(page, start, language, "\n".join(lines) + "\n", target))
            opened = None
        elif opened:
            opened[2].append(line[opened[4] :])
        before = line if line.strip() else before
    assert opened is None, f"{page}:{opened[0]}: this block is never closed"
    return found


def commands(block: Block) -> list[str]:
    """The commands of a block, one a line, continued lines joined, comments taken off."""
    lines = block.text.replace("\\\n", " ").splitlines()
    bare = (" ".join(shlex.split(line, comments=True, posix=False)) for line in lines)
    return [each for line in bare if line for each in line.split(" && ")]


def mentioned(page: str) -> set[str]:
    """Commands that sentences name, in `backquotes`."""
    text, found = pages()[page].read_text(), set()
    text = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
    for span in _INLINE.findall(text):
        words = " ".join(span.split())
        if words.split()[0] in PROGRAMS and " " in words:
            found.add(words)
    return found
