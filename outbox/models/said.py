"""What handlers hand over of their talk with other systems, as bounded texts that any database stores."""

import json

EXCHANGES_KEPT = 10
"""Exchanges of one attempt that are kept: the first."""
LENGTH = 4_000
"""Characters of a request, and of an answer, that are kept."""


def as_text(said: object) -> str:
    """Return what was said as text: JSON, unless it is text already. It never raises, and is cut off at ``LENGTH``.

    The call was made by now: nothing about writing it down may make it fail.
    """
    try:
        text = _text_of(said)
    except Exception:  # it has a ``__str__`` or keys of somebody's own
        return "(it cannot be written as text)"
    text = text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= LENGTH else f"{text[: LENGTH - 1]}…"


def _text_of(said: object) -> str:
    match said:
        case None:
            return ""
        case str():
            return said
        case bytes():
            return said.decode(errors="replace")
        case _:
            return json.dumps(said, ensure_ascii=False, default=str)
