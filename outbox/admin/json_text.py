"""JSON as people read and write it at the desk."""

import json
from typing import Any

from django import forms
from django.utils.translation import gettext

from outbox.operate.text_checks import write_out


def as_json(value: Any) -> str:
    """Return a value as JSON for people, with all that cannot be seen written as ``\\u…``."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return write_out(text, but="\n")


def read_json(text: str) -> Any:
    """Return what the text says; ``ValidationError`` names the line where it is no JSON."""
    try:
        return json.loads(text, object_pairs_hook=_without_twins)
    except json.JSONDecodeError as error:
        raise forms.ValidationError(
            gettext("Line %(line)d, column %(column)d: this is no JSON (%(what)s).")
            % {"line": error.lineno, "column": error.colno, "what": error.msg}
        ) from error
    except RecursionError as error:
        raise forms.ValidationError(gettext("The payload is nested too deeply.")) from error
    except ValueError as error:  # a number of more digits than Python reads
        raise forms.ValidationError(str(error)) from error


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            text = gettext("The key “%(key)s” stands there twice.")
            raise forms.ValidationError(text % {"key": json.dumps(key)[1:-1]})
        found[key] = value
    return found
