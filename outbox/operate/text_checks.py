"""What people write at the desk: read once for every door, so that the audit never reads otherwise than it is."""

import json
from unicodedata import category

from django.utils.translation import gettext as _

from outbox.errors import NotAllowed

REASON_LENGTH = 1_000
OWNER_LENGTH = 150
TICKET_LENGTH = 300
NOTE_LENGTH = 10_000

PERMITTED_LINE_ENDS = "\r\n\t"
INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories of what is not seen, or turns the order in which the rest is seen: controls, bidirectional and
zero-width characters, half surrogates, separators of lines and paragraphs."""
BLANK_CHARACTERS = frozenset("\u034f\u115f\u1160\u2800\u3164\uffa0")
"""Letters and marks by category that leave a blank, or nothing."""


def check_text(text: str, *, limit: int, lines: bool = False) -> str:
    """Return ``text`` without the space around it; ``lines`` permits line ends and tabs.

    Raises ``NotAllowed`` for more than ``limit`` characters and for characters that are not seen.
    """
    text = text.strip()
    if len(text) > limit:
        raise NotAllowed(
            _("“%(start)s…” is too long: %(length)d characters, at most %(limit)d. Say it shorter.")
            % {"start": text[:20], "length": len(text), "limit": limit}
        )
    permitted = PERMITTED_LINE_ENDS if lines else ""
    hidden = [character for character in text if is_invisible(character) and character not in permitted]
    if hidden:
        raise NotAllowed(
            _("The text contains a character that is not seen (U+%(code)04X). Type it without; do not paste it.")
            % {"code": ord(hidden[0])}
        )
    return text


def write_out(text: str, *, but: str = "") -> str:
    """Return the text with what is not seen written as JSON writes it (``\\u202e``), those in ``but`` aside."""
    return "".join(json.dumps(each)[1:-1] if is_invisible(each) and each not in but else each for each in text)


def is_invisible(character: str) -> bool:
    """Tell whether nobody sees the character, or it turns the order in which others are seen."""
    return category(character) in INVISIBLE_CATEGORIES or character in BLANK_CHARACTERS
