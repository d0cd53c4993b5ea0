"""Reading a list of codes as somebody pastes or uploads it: one code a line, every fault told with its line. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from awards.characters import find_invisible

HEADINGS = frozenset({"code", "codes", "coupon", "coupon code", "voucher", "voucher code"})
LINE_END = re.compile(r"\r\n|\r|\n")
COLUMN_END = re.compile(r"[,;\t]")


class LineFault(StrEnum):
    """What can be wrong with a line."""

    UNPRINTABLE = "unprintable"
    TOO_LONG = "too_long"
    SEVERAL = "several"
    DOUBLED = "doubled"
    KNOWN = "known"


@dataclass(frozen=True, slots=True)
class FaultyLine:
    """A line that cannot be taken; ``first`` is the line whose code it repeats."""

    line: int
    fault: LineFault
    first: int = 0


@dataclass(frozen=True, slots=True)
class CodeList:
    """What a list holds: its sound codes with their lines, what is wrong, and what was passed over."""

    lines: dict[str, int]
    faulty_lines: tuple[FaultyLine, ...]
    blank: int
    heading: bool

    @property
    def codes(self) -> list[str]:
        """The codes, in their order."""
        return list(self.lines)


def read_codes(text: str, *, longest: int) -> CodeList:
    """Read a list of codes of at most ``longest`` characters.

    Space around a code, quotation marks around it, empty columns beside it and blank lines are passed over, and so is
    a heading such as ``code`` in the first line.
    """
    lines: dict[str, int] = {}
    faulty_lines: list[FaultyLine] = []
    blank, heading = 0, False
    for number, cells in csv_rows(text):
        if not cells:
            blank += 1
        elif not lines and not faulty_lines and not heading and cells[0].casefold() in HEADINGS:
            heading = True
        elif fault := _fault(cells, longest):
            faulty_lines.append(FaultyLine(number, fault))
        elif cells[0] in lines:
            faulty_lines.append(FaultyLine(number, LineFault.DOUBLED, first=lines[cells[0]]))
        else:
            lines[cells[0]] = number
    return CodeList(lines, tuple(faulty_lines), blank, heading)


def csv_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each line's number and its cells that are not empty. The end of the last line begins no further one."""
    lines = LINE_END.split(text.removeprefix("\ufeff"))
    if lines[-1] == "":
        lines.pop()
    for number, line in enumerate(lines, start=1):
        cells = [cell.strip(" ").removeprefix('"').removesuffix('"').strip(" ") for cell in COLUMN_END.split(line)]
        yield number, [cell for cell in cells if cell]


def _fault(cells: list[str], longest: int) -> LineFault | None:
    if len(cells) > 1:
        return LineFault.SEVERAL
    if not cells[0].isprintable() or find_invisible(cells[0]):
        return LineFault.UNPRINTABLE
    return LineFault.TOO_LONG if len(cells[0]) > longest else None
