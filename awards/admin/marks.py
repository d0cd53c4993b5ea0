"""A state as the admin shows it: a mark, a word, and a colour that says nothing by itself."""

from django.utils.html import format_html
from django.utils.safestring import SafeString


def state_as(kind: str, mark: str, said: object) -> SafeString:
    """Return a state: its kind has a colour, its mark is left to the eye, and the word is read out."""
    return format_html('<span class="mg-state mg-{}"><span aria-hidden="true">{}</span> {}</span>', kind, mark, said)
