"""What messages say of persons, as the desk shows it: its shape alone, unless somebody had it revealed."""

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

from outbox.admin.json_text import as_json
from outbox.models import Message

MASK = "•••"


class ShownExchange(NamedTuple):
    """A request and the answer to it, as the page shows them; empty where there was none."""

    request: str
    answer: str


def mask_payload(value: Any) -> Any:
    """Return the shape of a JSON value without what it says."""
    match value:
        case dict():
            return {key: mask_payload(item) for key, item in value.items()}
        case list():
            return [mask_payload(item) for item in value]
        case None:
            return None
        case _:
            return MASK


def exchanges_of(message: Message, *, revealed: bool) -> Mapping[int, list[ShownExchange]]:
    """Return what the handlers of a message have recorded of their talk with other systems, by attempt.

    The message was read with it, as ``exchanges_as_json``.
    """
    found: dict[int, list[ShownExchange]] = defaultdict(list)
    for number, _position, asked, heard in sorted(json.loads(getattr(message, "said", None) or "[]")):
        found[number].append(ShownExchange(_shown(asked, revealed), _shown(heard, revealed)))
    return found


def _shown(text: str, revealed: bool) -> str:
    """Return what was said as the page shows it; what has no shape that could be shown is masked whole."""
    try:
        value = json.loads(text)
        if isinstance(value, dict | list):
            return as_json(value if revealed else mask_payload(value))
    except (ValueError, RecursionError):
        pass
    return text if revealed or not text else MASK
