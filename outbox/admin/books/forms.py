"""The forms by which a person closes a day, or says how a difference came."""

from django.utils.translation import gettext_lazy as _

from outbox.admin.forms import ReasonedForm
from outbox.books.days import DayOfBook, close_day
from outbox.books.explaining import explain
from outbox.operate import Actor
from outbox.operate.actions import Action


class CloseDayForm(ReasonedForm):
    """Close a day: read it anew, and enter what it comes to into the audit."""

    act = Action.CLOSE_DAY
    title = _("Close the day")
    button = _("Close the day")
    promise = _(
        "The day is read anew, and its statement goes into the audit with a seal over every row of it. Whoever changes "
        "one of them afterwards is noticed."
    )
    done = _("The day is closed.")

    def carry_out(self, day: DayOfBook, *, actor: Actor, origin: str) -> None:
        """Close it."""
        close_day(day.book, day.day, actor=actor, reason=self.cleaned_data["reason"], origin=origin)


class ExplainForm(ReasonedForm):
    """Say how a difference came that cannot be mended."""

    act = Action.EXPLAIN
    title = _("Explain")
    button = _("Explain the difference")
    promise = _(
        "For what cannot be mended: say how it came. It counts no more, its day can be closed, and its messages may be "
        "pruned."
    )
    done = _("The difference is explained.")

    def carry_out(self, difference_id: int, *, actor: Actor, origin: str) -> None:
        """Keep the explanation."""
        explain(difference_id, actor=actor, reason=self.cleaned_data["reason"], origin=origin)
