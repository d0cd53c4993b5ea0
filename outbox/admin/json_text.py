"""JSON as people read and write it at the desk."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django import forms

from outbox.errors import NotAllowed
from outbox.operate.text_checks import write_out


def as_json(value: Any) -> str:
    """Return a value as JSON for people, with all that cannot be seen written as ``\\u…``."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return write_out(text, but="\n")


@contextmanager
def refused_on_the_form() -> Iterator[None]:
    """Let what ``operate`` refuses in a text stand on the form beside it."""
    try:
        yield
    except NotAllowed as refusal:
        raise forms.ValidationError(str(refusal)) from refusal
