"""What foreign code says, as bounded texts that any database stores."""

import json

EXCHANGES_KEPT = 10
"""Exchanges of one attempt that are kept: the first."""
LENGTH = 4_000
"""Characters of a request, and of an answer, that are kept."""
SHORT = 300
"""Characters of an error that a sentence quotes."""
SIGNALS = ("Snooze: ", "Unavailable: ")
"""What stands before the words of a consumer that is not ready."""
BYTES_OF_CHARACTER = 4
"""Bytes of a character in UTF-8 at most."""


def as_text(said: object) -> str:
    """Return what was said as text: JSON, unless it is text already. It never raises, and is cut off at ``LENGTH``.

    The call was made by now: nothing about writing it down may make it fail.
    """
    try:
        text = storable(_text_of(said), most=LENGTH + 1)
    except Exception:  # it has a ``__str__`` or keys of somebody's own
        return "(it cannot be written as text)"
    return text if len(text) <= LENGTH else f"{text[: LENGTH - 1]}…"


def storable(text: str, *, most: int | None = None) -> str:
    """Return ``text`` without what no database stores: NUL characters and lone surrogates are written out.

    ``most`` is how many characters of it are kept; one that is longer is cut before it is looked at.
    """
    cut = text[:most]
    return cut.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()[:most]


def in_short(error: str) -> str:
    """Return the first line of an error as a sentence quotes it, without the signal by which a consumer has said it."""
    line = (error.strip().splitlines() or [""])[0]
    for signal in SIGNALS:
        line = line.removeprefix(signal)
    return line if len(line) <= SHORT else f"{line[: SHORT - 1]}…"


def _text_of(said: object) -> str:
    match said:
        case None:
            return ""
        case str():
            return said
        case bytes():
            return said[: BYTES_OF_CHARACTER * (LENGTH + 1)].decode(errors="replace")
        case _:
            return json.dumps(said, ensure_ascii=False, default=str)
