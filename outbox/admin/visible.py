"""Text of messages, exceptions and people, with what turns or hides other text made visible."""

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpResponse
from django.template.response import SimpleTemplateResponse
from django.urls import URLPattern

TURNS_OR_HIDES = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Controls, separators, and what turns the order in which the rest is read. Marks that languages need stay."""


def make_visible(text: str) -> str:
    """Return the text with such characters written as ``⟨U+202E⟩``."""
    return TURNS_OR_HIDES.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text)


def show_all(pattern: URLPattern) -> URLPattern:
    """Let the pages of a view show such characters, wherever in a page they stand."""
    view: Callable[..., Any] = pattern.callback

    @wraps(view)
    def shown(*args: Any, **kwargs: Any) -> Any:
        response = view(*args, **kwargs)
        if isinstance(response, SimpleTemplateResponse):
            response.add_post_render_callback(_make_page_visible)
        return response

    pattern.callback = shown
    return pattern


def _make_page_visible(response: HttpResponse) -> None:
    response.content = make_visible(response.content.decode()).encode()
