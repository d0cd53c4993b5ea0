"""A field for a day and a time that a browser helps with, and that shows what was kept."""

from django import forms


class MomentInput(forms.DateTimeInput):
    """One input for both. Its format is the one that browsers read."""

    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%dT%H:%M")
