"""What the books have found: how far each was read, window by window, what does not fit, and which days are closed."""

from datetime import UTC, datetime, timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from outbox.models.state import EngineQuerySet
from outbox.topics import NAME_LENGTH, TOPIC_LENGTH

BOOK_LENGTH = 60
WINDOW = timedelta(minutes=15)
"""The span that is read and remembered as one. Every time zone's days begin with one of them."""
WINDOW_SECONDS = int(WINDOW.total_seconds())


def window_of(at: datetime) -> int:
    """Return the number of the window that a moment lies in, counted from 1970 on."""
    return int((timezone.make_aware(at) if timezone.is_naive(at) else at).timestamp() // WINDOW_SECONDS)


def start_of(number: int) -> datetime:
    """Return when a window begins; without a zone where the project has none."""
    at = datetime.fromtimestamp(number * WINDOW_SECONDS, UTC)
    return at if settings.USE_TZ else timezone.make_naive(at)


class BookStateQuerySet(EngineQuerySet["BookState"]):
    """How the books stand."""


class BookState(models.Model):
    """How far one book was read, and what it needs to go on from there."""

    name = models.CharField(_("book"), max_length=BOOK_LENGTH, primary_key=True)
    topic = models.CharField(_("topics"), max_length=TOPIC_LENGTH)
    every_seconds = models.PositiveIntegerField(_("read every so many seconds"), default=600)
    began_at = models.DateTimeField(_("from"))
    """Business rows from before are not accounted for: their messages may have been pruned before the book began."""
    read_until = models.DateTimeField(_("read up to"))
    ran_at = models.DateTimeField(_("last read"), null=True, blank=True)
    seconds = models.FloatField(_("seconds it took"), default=0.0)
    error = models.TextField(_("error"), default="", blank=True)
    swept_to = models.BigIntegerField(default=0, editable=False)
    """Up to which message it is known that each has its business row."""
    swept_at = models.DateTimeField(null=True, blank=True, editable=False)
    """When the messages were last begun from the first."""
    reread_to = models.BigIntegerField(default=0, editable=False)
    """Up to which window everything was read again, where the book cannot tell what has changed."""
    reread_at = models.DateTimeField(null=True, blank=True, editable=False)
    """When that was last begun."""
    changed_at = models.DateTimeField(null=True, blank=True, editable=False)
    """Up to when changes of business rows were taken in."""
    round_at = models.DateTimeField(null=True, blank=True, editable=False)
    """When the reading of what is due was begun that has not come to its end yet."""
    round_settled = models.DateTimeField(null=True, blank=True, editable=False)
    """Before when no transaction had begun that was running then."""
    spans = models.JSONField(default=dict, editable=False)
    """By topic and consumer, the first and the last window with a message of it."""
    held_until = models.DateTimeField(null=True, blank=True, editable=False)
    """Until when somebody who reads it keeps others from doing so."""
    undeclared_since = models.DateTimeField(null=True, blank=True, editable=False)

    objects = BookStateQuerySet.as_manager()

    class Meta:
        verbose_name = _("book")
        verbose_name_plural = _("books")
        default_permissions = ("view",)
        permissions = [
            ("close_bookday", _("Can close a day of the books")),
            ("explain_difference", _("Can explain differences of the books")),
        ]

    def __str__(self) -> str:
        return self.name


class WindowState(models.TextChoices):
    """Whether a window must be read again."""

    OPEN = "open", _("open")
    UNBALANCED = "unbalanced", _("does not balance")
    BALANCED = "balanced", _("balanced")


class BookWindowQuerySet(EngineQuerySet["BookWindow"]):
    """Windows of all books."""

    def between(self, first: int, last: int) -> Self:
        """Keep the windows from the number ``first`` up to, and without, the number ``last``."""
        return self.filter(number__gte=first, number__lt=last)


class BookWindow(models.Model):
    """A quarter of an hour by the business's own date: what was counted in it when it was last read."""

    id = models.BigAutoField(primary_key=True)
    book = models.CharField(max_length=BOOK_LENGTH)
    number = models.BigIntegerField()
    state = models.CharField(max_length=10, choices=WindowState, default=WindowState.OPEN)
    business = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    closed = models.PositiveIntegerField(default=0)
    consumers = models.PositiveIntegerField(default=0)
    """How many consumers the messages of these rows have, at most."""
    success = models.PositiveIntegerField(default=0)
    handled = models.PositiveIntegerField(default=0)
    discarded = models.PositiveIntegerField(default=0)
    withdrawn = models.PositiveIntegerField(default=0)
    overdue = models.PositiveIntegerField(default=0)
    open = models.PositiveIntegerField(default=0)
    missing = models.PositiveIntegerField(default=0)
    """Messages that these rows should have and have not."""
    read_at = models.DateTimeField(db_default=Now())

    objects = BookWindowQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["book", "number"], name="outbox_bookwindow_once"),
            models.CheckConstraint(condition=models.Q(state__in=WindowState.values), name="outbox_bookwindow_state"),
        ]

    def __str__(self) -> str:
        return f"{self.book} {start_of(self.number):%Y-%m-%d %H:%M}"


class Difference(models.TextChoices):
    """The four ways in which business and messages may disagree."""

    NO_MESSAGE = "no_message", _("business row without message")
    NO_BUSINESS = "no_business", _("message without business row")
    NOT_SETTLED = "not_settled", _("business done, message open or failed")
    NOT_DONE = "not_done", _("message succeeded, business not done")


class BookDifferenceQuerySet(EngineQuerySet["BookDifference"]):
    """Differences of all books."""

    def standing(self) -> Self:
        """Keep those that are there still, explained or not."""
        return self.filter(gone_at__isnull=True)

    def unexplained(self) -> Self:
        """Keep those that somebody must see to."""
        return self.standing().filter(explained_at__isnull=True)

    def explained(self) -> Self:
        """Keep those that are there still, and that somebody has explained."""
        return self.standing().filter(explained_at__isnull=False)


class BookDifference(models.Model):
    """One business row, or one message, that does not fit; once, from when it is found until it is gone."""

    id = models.BigAutoField(primary_key=True)
    book = models.CharField(_("book"), max_length=BOOK_LENGTH)
    kind = models.CharField(_("difference"), max_length=11, choices=Difference)
    key = models.CharField(_("business id"), max_length=200)
    consumer = models.CharField(_("consumer"), max_length=NAME_LENGTH, default="", blank=True)
    message_id = models.BigIntegerField(_("message"), null=True, blank=True)
    number = models.BigIntegerField(null=True, blank=True)
    """The window of its business row, where there is one."""
    at = models.DateTimeField(_("of"))
    """The business's own date, or when the message was published."""
    found_at = models.DateTimeField(_("found"), db_default=Now())
    gone_at = models.DateTimeField(_("gone"), null=True, blank=True)
    explained_at = models.DateTimeField(_("explained"), null=True, blank=True)
    explained_by = models.CharField(_("explained by"), max_length=150, default="", blank=True)
    explanation = models.TextField(_("explanation"), default="", blank=True)

    objects = BookDifferenceQuerySet.as_manager()

    class Meta:
        verbose_name = _("difference of a book")
        verbose_name_plural = _("differences of the books")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["book", "kind", "key", "consumer"],
                condition=models.Q(gone_at__isnull=True),
                name="outbox_bookdifference_once",
            ),
            models.CheckConstraint(condition=models.Q(kind__in=Difference.values), name="outbox_bookdifference_kind"),
        ]
        indexes = [
            models.Index(
                fields=["book", "number"],
                condition=models.Q(gone_at__isnull=True),
                name="outbox_bookdifference_standing",
            ),
            models.Index(
                fields=["message_id"],
                condition=models.Q(gone_at__isnull=True),
                name="outbox_bookdifference_message",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.book}: {self.get_kind_display()}: {self.key}"


class BookDayQuerySet(EngineQuerySet["BookDay"]):
    """Days that were closed."""


class BookDay(models.Model):
    """A day of a book that somebody has closed. What was stated is in the audit's entry."""

    id = models.BigAutoField(primary_key=True)
    book = models.CharField(_("book"), max_length=BOOK_LENGTH)
    day = models.DateField(_("day"))
    closed_at = models.DateTimeField(_("closed"), db_default=Now())
    closed_by = models.CharField(_("closed by"), max_length=150)
    entry = models.BigIntegerField(_("entry of the audit"))
    seals = models.JSONField(default=dict, editable=False)
    """By the hour's first window: the seal of its business rows, and that of their messages."""

    objects = BookDayQuerySet.as_manager()

    class Meta:
        verbose_name = _("closed day")
        verbose_name_plural = _("closed days")
        default_permissions = ()
        indexes = [models.Index(fields=["book", "day"], name="outbox_bookday_of")]

    def __str__(self) -> str:
        return f"{self.book} {self.day:%Y-%m-%d}"
