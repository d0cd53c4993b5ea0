"""The manual as its tests read it: pages, and the blocks of code in them, in order."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.harness.program import ROOT

README = ROOT / "README.md"
PAGES = ROOT / "docs" / "pages"

FENCE = re.compile(
    r'^(?P<indent> *)```(?P<language>\w*)(?: title="(?P<title>[^"]*)")?[^\n]*\n(?P<text>.*?)^(?P=indent)```$',
    re.MULTILINE | re.DOTALL,
)
AT_THE_END = ", at the end"


@dataclass(frozen=True, slots=True)
class Block:
    """One block of code: its language, what is written above it, and its text without the indent of its list."""

    page: str
    line: int
    language: str
    title: str
    text: str

    @property
    def path(self) -> str:
        """The file that the block is, or is added to; empty for one that is no file."""
        name = self.title.removesuffix(AT_THE_END)
        return name if re.fullmatch(r"[\w./-]+\.\w+", name) else ""

    @property
    def is_added(self) -> bool:
        """Tell whether the block is added at the end of its file."""
        return self.title.endswith(AT_THE_END)

    @property
    def terminal(self) -> str:
        """The terminal that the block is typed into and keeps, or nothing: then it ends by itself."""
        return self.title if self.title.startswith("Terminal") else ""

    def __str__(self) -> str:
        return f"{self.page}, line {self.line}"


def pages() -> list[Path]:
    """Return every page, and the README."""
    return [README, *sorted(PAGES.glob("*.md"))]


def page(name: str) -> Path:
    """Return the page of that name."""
    return README if name == README.stem else PAGES / f"{name}.md"


def blocks(path: Path) -> Iterator[Block]:
    """Yield the blocks of a page, the first first."""
    text = path.read_text()
    for found in FENCE.finditer(text):
        indent = len(found["indent"])
        lines = [line[indent:] if line[:indent].isspace() else line for line in found["text"].splitlines()]
        line = text.count("\n", 0, found.start()) + 1
        yield Block(path.stem, line, found["language"], found["title"] or "", "\n".join(lines) + "\n")
