"""JSON that people have typed: read for every door, so that each refuses the same."""

import json
from typing import Any

from django.utils.translation import gettext as _

from outbox.errors import NotAllowed

MOST_LEVELS = 500
"""Levels of nesting. Python reads more of them from version to version; what shows and compares payloads does not."""


def read_json(text: str) -> Any:
    """Return what the text says; ``NotAllowed`` names the line where it is no JSON, or a key that is there twice."""
    try:
        value = json.loads(text, object_pairs_hook=_without_twins)
    except json.JSONDecodeError as error:
        raise NotAllowed(
            _("Line %(line)d, column %(column)d: this is no JSON (%(what)s).")
            % {"line": error.lineno, "column": error.colno, "what": error.msg}
        ) from error
    except RecursionError as error:
        raise NotAllowed(_("The payload is nested too deeply.")) from error
    except ValueError as error:  # a number of more digits than Python reads
        raise NotAllowed(str(error)) from error
    if _is_deeper_than(MOST_LEVELS, value):
        raise NotAllowed(_("The payload is nested too deeply."))
    return value


def _is_deeper_than(levels: int, value: Any) -> bool:
    """Tell whether lists and objects stand in each other that deeply; without recursion, which would not get there."""
    level = [value]
    for _level in range(levels + 1):
        level = [
            each
            for one in level
            if isinstance(one, dict | list)
            for each in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise NotAllowed(_("The key “%(key)s” stands there twice.") % {"key": json.dumps(key)[1:-1]})
        found[key] = value
    return found
