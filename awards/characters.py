"""Characters that nobody sees, or that turn the order in which others are seen. Pure.

A text that holds one reads otherwise than it is: two names look the same, or a reason says something else.
"""

import sys
import unicodedata

INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories: controls, bidirectional and zero-width marks, half surrogates, ends of lines and paragraphs."""
BLANK = frozenset("\u034f\u115f\u1160\u2800\u3164\uffa0")
"""Letters and marks by category that leave a blank, or nothing."""
LINE_ENDS = frozenset("\r\n\t")
JOINERS = frozenset("\u200c\u200d")
"""Zero width, but spelling in Persian and in Indian scripts, and in emoji made of several."""


def find_invisible(text: str, *, but: frozenset[str] = frozenset()) -> str:
    """Return the first character of ``text`` that is not seen, those in ``but`` aside, or nothing."""
    return next((each for each in text if _is_invisible(each) and each not in but), "")


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in INVISIBLE or character in BLANK


def invisible_ranges() -> list[tuple[int, int]]:
    """Return the code points that are not seen, as (first, last), for whoever has to say which they are."""
    ranges: list[tuple[int, int]] = []
    for point in filter(_is_invisible_point, range(sys.maxunicode + 1)):
        if ranges and ranges[-1][1] == point - 1:
            ranges[-1] = (ranges[-1][0], point)
        else:
            ranges.append((point, point))
    return ranges


def _is_invisible_point(point: int) -> bool:
    return _is_invisible(chr(point))
