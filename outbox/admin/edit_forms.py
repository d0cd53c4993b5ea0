"""How a project gives the desk a form of its own for editing a consumer's payloads, in place of JSON."""

from collections.abc import Callable
from typing import TypeVar

from django import forms

F = TypeVar("F", bound=type[forms.Form])

_forms: dict[str, type[forms.Form]] = {}


def edit_form(consumer: str) -> Callable[[F], F]:
    """Make the decorated Django form the one by which payloads of the consumer of that name are edited.

    Its fields are keys of the payload, which must be an object; keys without a field stay as they are. The form is
    given the payload as ``initial`` and what a person has entered. What ``cleaned_data`` has is written as JSON, dates
    and decimals as text. A field of a ``locked`` key is shown and cannot be changed.
    """

    def register(form: F) -> F:
        _forms[consumer] = form
        return form

    return register


def form_of(consumer: str) -> type[forms.Form] | None:
    """Return the form by which payloads of this consumer are edited, if the project has given one."""
    return _forms.get(consumer)


def forget_form(consumer: str) -> None:
    """Take a form out again; for tests."""
    _forms.pop(consumer, None)
