"""Numbers that run on: of what we send, which message has which; of what we receive, which are missing."""

from datetime import timedelta
from typing import Self

from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from outbox.models.state import EngineQuerySet
from outbox.topics import NAME_LENGTH, SOURCE_LENGTH

EPOCH_LENGTH = 32
ROUTING_KEY_LENGTH = 255
STREAM_LENGTH = NAME_LENGTH + 1 + ROUTING_KEY_LENGTH
"""Of a stream's name: the forward, a slash, and the routing key."""


class SequenceStreamQuerySet(EngineQuerySet["SequenceStream"]):
    """Streams that we send, on the engine's database."""


class SequenceStream(models.Model):
    """What a forward sends under one routing key: numbered from 1 on, in one epoch of this database's life."""

    id = models.BigAutoField(primary_key=True)
    forward = models.CharField(_("forward"), max_length=NAME_LENGTH)
    routing_key = models.CharField(_("routing key"), max_length=ROUTING_KEY_LENGTH, default="", blank=True)
    epoch = models.CharField(_("epoch"), max_length=EPOCH_LENGTH)
    origin = models.CharField(max_length=100, default="", blank=True, editable=False)
    """The database in which the epoch began: when a copy of it takes over, another begins."""
    is_current = models.BooleanField(_("goes on"), default=True)
    given = models.PositiveBigIntegerField(_("highest number"), default=0)
    since = models.DateTimeField(_("since"), db_default=Now())
    due_at = models.DateTimeField(_("next heartbeat"), db_default=Now())
    said_at = models.DateTimeField(_("last heartbeat"), null=True, blank=True)
    error = models.TextField(_("why it was not sent"), default="", blank=True)

    objects = SequenceStreamQuerySet.as_manager()

    class Meta:
        verbose_name = _("numbered stream")
        verbose_name_plural = _("numbered streams")
        default_permissions = ("view",)
        permissions = [("begin_epoch", _("Can begin the numbers of streams anew"))]
        constraints = [
            models.UniqueConstraint(
                fields=["forward", "routing_key"], condition=Q(is_current=True), name="outbox_sequencestream_current"
            ),
            models.UniqueConstraint(fields=["forward", "routing_key", "epoch"], name="outbox_sequencestream_once"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """What receivers know it by."""
        return f"{self.forward}/{self.routing_key}"


class NumberState(models.TextChoices):
    """What has become of a number."""

    OPEN = "open", _("not settled yet")
    SENT = "sent", _("confirmed by the broker")
    VOID = "void", _("will never come; said to the receivers")


class SequenceNumberQuerySet(EngineQuerySet["SequenceNumber"]):
    """Numbers of messages, on the engine's database."""

    def open(self) -> Self:
        """Keep the numbers of which it is not known yet whether they arrive."""
        return self.filter(state=NumberState.OPEN)

    def prunable(self, *, older_than: timedelta) -> Self:
        """Keep those that were settled longer ago."""
        return self.filter(settled_at__lt=Now() - older_than)


class SequenceNumber(models.Model):
    """The number of a message in its stream. It outlives the message for a while, so that it can be explained."""

    message_id = models.BigIntegerField(primary_key=True)
    stream = models.ForeignKey(SequenceStream, on_delete=models.CASCADE, db_index=False)
    number = models.PositiveBigIntegerField(_("number"))
    state = models.CharField(_("state"), max_length=4, choices=NumberState, default=NumberState.OPEN)
    settled_at = models.DateTimeField(_("settled"), null=True, blank=True)

    objects = SequenceNumberQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["stream", "number"], name="outbox_sequencenumber_once"),
            models.CheckConstraint(
                condition=Q(state="open", settled_at__isnull=True)
                | Q(state__in=["sent", "void"], settled_at__isnull=False),
                name="outbox_sequencenumber_state",
            ),
        ]
        indexes = [
            models.Index(fields=["stream", "number"], condition=Q(state="open"), name="outbox_sequencenumber_open"),
            models.Index(fields=["settled_at"], condition=~Q(state="open"), name="outbox_sequencenumber_old"),
        ]

    def __str__(self) -> str:
        return f"{self.stream_id}: {self.number}"


class WatchedStreamQuerySet(EngineQuerySet["WatchedStream"]):
    """Streams that are received, on the engine's database."""

    def prunable(self, *, older_than: timedelta) -> Self:
        """Keep those of which nothing has come for longer, and of which no number is missed."""
        missed = Gap.objects.open().filter(watched=OuterRef("pk"))
        return self.filter(~Exists(missed), at__lt=Now() - older_than)


class WatchedStream(models.Model):
    """A stream of a source, in one epoch of its sender's database: how far it has come, and what is missing below."""

    id = models.BigAutoField(primary_key=True)
    source = models.CharField(_("source"), max_length=SOURCE_LENGTH)
    stream = models.CharField(_("stream"), max_length=STREAM_LENGTH)
    epoch = models.CharField(_("epoch"), max_length=EPOCH_LENGTH)
    begin = models.PositiveBigIntegerField(_("watched from"), default=0)
    """The first number that is watched: what came before we listened is nobody's gap."""
    high = models.PositiveBigIntegerField(_("highest number known"), default=0)
    missing = models.JSONField(default=list, editable=False)
    """What is missing up to there; see ``outbox.external.sequences.ranges``."""
    since = models.DateTimeField(_("since"), db_default=Now())
    at = models.DateTimeField(_("last came"), db_default=Now())
    beat_at = models.DateTimeField(_("last heartbeat"), null=True, blank=True)
    """When the last heartbeat came, on our own clock."""

    objects = WatchedStreamQuerySet.as_manager()

    class Meta:
        verbose_name = _("watched stream")
        verbose_name_plural = _("watched streams")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["source", "stream", "epoch"], name="outbox_watchedstream_once"),
        ]

    def __str__(self) -> str:
        return f"{self.source}: {self.stream}"


class SaidOfGap(models.TextChoices):
    """What the sender says of a number that is missing."""

    SENT = "sent", _("it was sent, and its broker has confirmed it")
    FAILED = "failed", _("it has failed there, and waits for a person")
    OPEN = "open", _("it is being sent again")


class GapEnd(models.TextChoices):
    """How a gap was closed."""

    NONE = "", _("not closed")
    CAME = "came", _("it has come")
    VOID = "void", _("it will never come, says the sender")
    PERSON = "person", _("a person has seen to it")


class GapQuerySet(EngineQuerySet["Gap"]):
    """Gaps, on the engine's database."""

    def open(self) -> Self:
        """Keep those that are not closed."""
        return self.filter(closed_at__isnull=True)

    def prunable(self, *, older_than: timedelta) -> Self:
        """Keep those that were closed longer ago."""
        return self.filter(closed_at__lt=Now() - older_than)


class Gap(models.Model):
    """Numbers of a stream that should have come and have not."""

    id = models.BigAutoField(primary_key=True)
    watched = models.ForeignKey(
        WatchedStream, on_delete=models.CASCADE, related_name="gaps", verbose_name=_("stream"), db_index=True
    )
    first = models.PositiveBigIntegerField(_("first number"))
    last = models.PositiveBigIntegerField(_("last number"))
    said = models.CharField(_("what the sender says"), max_length=6, choices=SaidOfGap)
    at = models.DateTimeField(_("missed since"), db_default=Now())
    closed_at = models.DateTimeField(_("closed"), null=True, blank=True)
    end = models.CharField(_("how it was closed"), max_length=6, choices=GapEnd, default=GapEnd.NONE, blank=True)
    closed_by = models.CharField(_("closed by"), max_length=150, default="", blank=True)

    objects = GapQuerySet.as_manager()

    class Meta:
        verbose_name = _("gap")
        verbose_name_plural = _("gaps")
        default_permissions = ("view",)
        permissions = [("close_gap", _("Can close gaps in the numbers of a source"))]
        constraints = [
            models.CheckConstraint(
                condition=Q(closed_at__isnull=True, end="") | (Q(closed_at__isnull=False) & ~Q(end="")),
                name="outbox_gap_closed",
            ),
            models.CheckConstraint(condition=Q(first__lte=F("last")), name="outbox_gap_range"),
        ]
        indexes = [
            models.Index(fields=["watched", "first"], condition=Q(closed_at__isnull=True), name="outbox_gap_open"),
            models.Index(fields=["closed_at"], condition=Q(closed_at__isnull=False), name="outbox_gap_old"),
        ]

    def __str__(self) -> str:
        return f"{self.watched}: {self.numbers}"

    @property
    def numbers(self) -> str:
        """The numbers, as people write them."""
        return str(self.first) if self.first == self.last else f"{self.first}–{self.last}"

    @property
    def many(self) -> int:
        """How many numbers that are."""
        return self.last - self.first + 1
