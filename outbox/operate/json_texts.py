"""JSON that people have typed: read for every door, so that each refuses the same."""

import json
from typing import Any

from django.utils.translation import gettext as _

from outbox.errors import NotAllowed


def read_json(text: str) -> Any:
    """Return what the text says; ``NotAllowed`` names the line where it is no JSON, or a key that is there twice."""
    try:
        return json.loads(text, object_pairs_hook=_without_twins)
    except json.JSONDecodeError as error:
        raise NotAllowed(
            _("Line %(line)d, column %(column)d: this is no JSON (%(what)s).")
            % {"line": error.lineno, "column": error.colno, "what": error.msg}
        ) from error
    except RecursionError as error:
        raise NotAllowed(_("The payload is nested too deeply.")) from error
    except ValueError as error:  # a number of more digits than Python reads
        raise NotAllowed(str(error)) from error


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise NotAllowed(_("The key “%(key)s” stands there twice.") % {"key": json.dumps(key)[1:-1]})
        found[key] = value
    return found
