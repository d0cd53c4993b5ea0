"""Forms of some of a row's fields, which hold every rule of the table against the whole row before it is written."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import IntegrityError, router
from django.db.models import BaseConstraint, CheckConstraint, Q, UniqueConstraint
from django.http import HttpRequest


class WholeRowForm(forms.ModelForm):  # type: ignore[type-arg]  # generic for the type checker only
    """A form by which a row never becomes what its table refuses, also where the form lacks some of its fields.

    Django leaves out a rule as soon as one of its fields is not in the form, or is only shown.
    """

    def _post_clean(self) -> None:
        """Fill the row in as Django does, and have it held against the table by us alone."""
        vars(self.instance)["validate_constraints"] = _leave_to_the_form
        try:
            super()._post_clean()  # type: ignore[misc]  # the stubs leave it out
        finally:
            del vars(self.instance)["validate_constraints"]
        self.hold_against_the_table()

    def hold_against_the_table(self) -> None:
        """Say what the row would break at the field that breaks it. What is wrong by itself is said already."""
        wrong, row = set(self.errors), self.instance
        using = router.db_for_write(type(row), instance=row)
        for constraint in row._meta.constraints:
            try:
                constraint.validate(type(row), row, exclude=wrong, using=using)
            except ValidationError as error:
                self.add_error(self._field_of(constraint), error)

    def _field_of(self, constraint: BaseConstraint) -> str | None:
        """Return the last field of the rule that was changed, or else that can be; None if it has none here."""
        names = fields_of(constraint)
        here = [name for name, field in self.fields.items() if name in names and not field.widget.is_hidden]
        changed = [name for name in here if name in self.changed_data]
        return next(reversed(changed or here), None)


def _leave_to_the_form(exclude: Any = None) -> None:
    """Look at nothing, in place of Django."""


def fields_of(constraint: BaseConstraint) -> set[str]:
    """Return the names of the fields that a rule of a table is about."""
    match constraint:
        case CheckConstraint():
            return _named_in(constraint.condition)
        case UniqueConstraint():
            return {*constraint.fields, *_named_in(constraint.condition)}
        case _:
            return set()


def _named_in(condition: Any) -> set[str]:
    return set(condition.referenced_base_fields) if isinstance(condition, Q) else set()


class SecondLook:
    """What an admin has beside such a form: somebody may write between the look at the table and the writing."""

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Take the form. If the table refuses what the form let pass, look once more: by now the form says why."""
        take = super().changeform_view  # type: ignore[misc]  # of the admin that it stands before
        try:
            return take(request, *args, **kwargs)
        except IntegrityError:
            return take(request, *args, **kwargs)
