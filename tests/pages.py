"""The fenced blocks of the pages, and the command lines in them."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "SECURITY.md", *DOCS.rglob("*.md")])


class Line(NamedTuple):
    """A line of a fenced block: the page, its number there, its text."""

    page: Path
    number: int
    text: str


def blocks(path: Path) -> Iterator[tuple[str, list[Line]]]:
    """The fenced blocks of a page, with their language."""
    block: list[Line] | None = None
    language = ""
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not text.startswith("```"):
            if block is not None:
                block.append(Line(path, number, text))
        elif block is None:
            language, block = text[3:].strip(), []
        else:
            yield language, block
            block = None
    assert block is None, f"{path}: a fenced block has no end"


def commands() -> Iterator[Line]:
    """The command lines in fenced blocks: those after a prompt; in a block without any prompt, every line."""
    for path in PAGES:
        for language, block in blocks(path):
            prompted = [line._replace(text=line.text[2:]) for line in block if line.text.startswith("$ ")]
            if not language:
                yield from prompted or block


def words(line: Line) -> list[str]:
    """The words of the first simple command of a line, without comments."""
    lexer = shlex.shlex(line.text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = "#"
    found = []
    for word in lexer:
        if set(word) <= set("();<>|&"):
            break
        found.append(word)
    return found
