"""The attempts that went wrong, one row each."""

from collections.abc import Sequence
from datetime import timedelta
from functools import reduce
from operator import or_

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from outbox.models.message import Message
from outbox.models.state import EngineQuerySet


class AttemptOutcome(models.TextChoices):
    """How an attempt ended that did not simply succeed."""

    FAILED = "failed", _("failed")
    REJECTED = "rejected", _("rejected")
    SNOOZED = "snoozed", _("not ready")
    UNAVAILABLE = "unavailable", _("unavailable")
    LOST = "lost", _("worker lost")
    LATE = "late", _("too late")


CUT_OFF = (AttemptOutcome.LOST, AttemptOutcome.LATE)
"""Outcomes of which nobody knows how far the handler had come."""
SAYS_ITSELF = (AttemptOutcome.FAILED, AttemptOutcome.REJECTED, AttemptOutcome.UNAVAILABLE)
"""Outcomes with an error, whose class says whether the other side may have acted."""
LEAVES_DOUBT = Q(outcome__in=CUT_OFF) | Q(outcome__in=SAYS_ITSELF, may_have_acted=True)
"""Attempts outside a transaction after which the other side may have acted; ``Attempt.leaves_doubt`` of one."""
REPEATED = (AttemptOutcome.SNOOZED, AttemptOutcome.UNAVAILABLE)
"""Outcomes that spend no try, so that one message may have any number of them in a row."""
IN_FULL = timedelta(minutes=10)
"""How long every attempt of such a row is kept, long enough to be counted; of the older ones the first is."""


PLACE = ("message_id", "number", "outcome", "times")


class AttemptQuerySet(EngineQuerySet["Attempt"]):
    """Attempts, on the engine's database."""

    def keep(self, attempts: Sequence["Attempt"]) -> dict[int, int]:
        """Write these attempts, one of a message, and return how many of its last ones in a row ended the same way.

        Of attempts that end the same way again and again for days, only these rows stay: the first, and those of the
        last ``IN_FULL``. ``times`` counts them from the first on.
        """
        again = [attempt for attempt in attempts if attempt.outcome in REPEATED]
        before = self._before(again)
        for attempt in again:
            attempt.times = before.get((attempt.message_id, attempt.number - 1, attempt.outcome), 0) + 1
        self.bulk_create(attempts)
        between = [
            Q(message_id=attempt.message_id, number__gt=attempt.number - attempt.times + 1, number__lt=attempt.number)
            for attempt in again
            if attempt.times > 2
        ]
        if between:
            self.filter(reduce(or_, between), ended_at__lt=Now() - IN_FULL)._raw_delete(self.db)
        return {attempt.message_id: attempt.times for attempt in attempts}

    def _before(self, attempts: Sequence["Attempt"]) -> dict[tuple[int, int, str], int]:
        """Return ``times`` of the attempts before these, by message, number and outcome."""
        if not attempts:
            return {}
        found = self.filter(
            message_id__in=[attempt.message_id for attempt in attempts],
            number__in={attempt.number - 1 for attempt in attempts},
            outcome__in=REPEATED,
        )
        return {(id, number, outcome): times for id, number, outcome, times in found.values_list(*PLACE)}


class Attempt(models.Model):
    """One attempt that did not simply succeed: what happened, where, and the traceback."""

    id = models.BigAutoField(primary_key=True)
    message = models.ForeignKey(Message, on_delete=models.CASCADE, verbose_name=_("message"))
    number = models.PositiveIntegerField(_("number"))
    outcome = models.CharField(_("outcome"), max_length=11, choices=AttemptOutcome)
    times = models.PositiveIntegerField(_("times in a row"), default=1, db_default=1)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended"), db_default=Now())
    error = models.TextField(_("error"), default="", blank=True)
    may_have_acted = models.BooleanField(_("the other side may have acted"), default=False, db_default=False)
    traceback = models.TextField(_("traceback"), default="", blank=True)
    worker = models.CharField(_("worker"), max_length=100, default="", blank=True)

    objects = AttemptQuerySet.as_manager()

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        default_permissions = ("view",)
        indexes = [models.Index(fields=["ended_at"], name="outbox_attempt_ended")]

    def __str__(self) -> str:
        return f"{self.number}: {self.outcome}"

    @property
    def leaves_doubt(self) -> bool:
        """Tell whether the other side may have acted in it, if it was not inside a transaction."""
        return self.outcome in CUT_OFF or (self.outcome in SAYS_ITSELF and self.may_have_acted)
