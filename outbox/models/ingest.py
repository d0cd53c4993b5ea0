"""What receivers remember: which ids were taken in, what could not be, how each source stands."""

from datetime import timedelta
from typing import Self

from django.db import models
from django.db.models import Q, Sum
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from outbox.models.state import EngineQuerySet
from outbox.topics import QUEUE_LENGTH, SOURCE_LENGTH

SENDER_ID_LENGTH = 255
"""Characters of AMQP's message id."""


class TakenIdQuerySet(EngineQuerySet["TakenId"]):
    """Ids that were taken in, on the engine's database."""

    def prunable(self, *, older_than: timedelta) -> Self:
        """Keep what was taken in longer ago."""
        return self.filter(at__lt=Now() - older_than)


class TakenId(models.Model):
    """The id of a message that was taken in. It outlives the message, so that a late redelivery is still known."""

    id = models.UUIDField(primary_key=True, editable=False)
    """A digest of the source's name and the sender's id."""
    content = models.UUIDField(editable=False)
    """A digest of topic and payload, as they came first."""
    at = models.DateTimeField(db_default=Now(), db_index=True, editable=False)

    objects = TakenIdQuerySet.as_manager()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.id)


class QuarantineReason(models.TextChoices):
    """Why a message could not be taken in."""

    NO_ID = "no_id", _("it has no message id")
    NO_JSON = "no_json", _("its body is no JSON")
    NOT_TOLD = "not_told", _("the project's function could not tell topic, id or ordering key")
    UNKNOWN_TOPIC = "unknown_topic", _("no consumer listens to its topic")
    TOO_LARGE = "too_large", _("it is too large")
    OTHER_CONTENT = "other_content", _("its id is known with other content")
    NOT_STORABLE = "not_storable", _("it cannot be stored as it is")
    GOES_ROUND = "goes_round", _("it went round too often")
    ENDS_RECEIVER = "ends_receiver", _("the receiver ended over it, more than once")


class QuarantineState(models.TextChoices):
    """What has become of a quarantined message."""

    OPEN = "open", _("waits for a person")
    TAKEN_IN = "taken_in", _("taken in")
    DISCARDED = "discarded", _("discarded")


class QuarantinedQuerySet(EngineQuerySet["Quarantined"]):
    """Quarantined messages, on the engine's database."""

    def open(self) -> Self:
        """Keep what waits for a person."""
        return self.filter(state=QuarantineState.OPEN)

    def size_in_bytes(self) -> int:
        """Return how many bytes these messages are together."""
        return int(self.aggregate(size=Sum("size"))["size"] or 0)

    def prunable(self, *, older_than: timedelta) -> Self:
        """Keep what a person has settled longer ago."""
        return self.filter(settled_at__lt=Now() - older_than)


class Quarantined(models.Model):
    """A message that could not be taken in, whole, with the reason. Delivered again, it is the same row."""

    id = models.BigAutoField(primary_key=True)
    source = models.CharField(_("source"), max_length=SOURCE_LENGTH)
    queue = models.CharField(_("queue"), max_length=QUEUE_LENGTH)
    reason = models.CharField(_("reason"), max_length=20, choices=QuarantineReason)
    error = models.TextField(_("details"), default="", blank=True)
    sender_id = models.CharField(_("sender's id"), max_length=SENDER_ID_LENGTH, default="", blank=True)
    topic = models.CharField(_("topic"), max_length=200, default="", blank=True)
    body = models.BinaryField(_("body"))
    properties = models.JSONField(_("properties"), default=dict)
    headers = models.JSONField(_("headers"), default=dict)
    delivery = models.JSONField(_("delivery"), default=dict)
    """Exchange and routing key."""
    size = models.PositiveBigIntegerField(_("bytes"))
    digest = models.UUIDField(editable=False)
    """Of everything in it that the sender gave."""
    times = models.PositiveIntegerField(_("deliveries"), default=1)
    state = models.CharField(_("state"), max_length=9, choices=QuarantineState, default=QuarantineState.OPEN)
    at = models.DateTimeField(_("quarantined"), db_default=Now())
    last_at = models.DateTimeField(_("last delivered"), db_default=Now())
    settled_at = models.DateTimeField(_("settled"), null=True, blank=True)
    settled_by = models.CharField(_("settled by"), max_length=150, default="", blank=True)

    objects = QuarantinedQuerySet.as_manager()

    class Meta:
        verbose_name = _("quarantined message")
        verbose_name_plural = _("quarantine")
        default_permissions = ("view",)
        permissions = [("settle_quarantined", _("Can take in or discard what is quarantined"))]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["open", "taken_in", "discarded"]), name="outbox_quarantined_state"
            ),
            models.UniqueConstraint(
                fields=["source", "digest"], condition=Q(state="open"), name="outbox_quarantined_once"
            ),
        ]
        indexes = [
            models.Index(fields=["settled_at"], condition=~Q(state="open"), name="outbox_quarantined_settled"),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.sender_id or self.pk}"


class SourceHold(models.TextChoices):
    """Why nothing of a source is taken in at the moment."""

    NONE = "", _("nothing: messages are taken in")
    HIGH_WATER = "high_water", _("too many of its messages are unfinished")
    QUARANTINE = "quarantine", _("the quarantine is full")
    BROKER = "broker", _("its broker does not answer")
    REFUSED = "refused", _("its broker refuses the queue")
    DATABASE = "database", _("our database does not take it")
    STOPPED = "stopped", _("the receiver was stopped")


class SourceStateQuerySet(EngineQuerySet["SourceState"]):
    """How sources stand, on the engine's database."""


class SourceState(models.Model):
    """What receivers have taken in of a source since it is known, and what holds it up, as the last one has said."""

    source = models.CharField(_("source"), max_length=SOURCE_LENGTH, primary_key=True)
    taken = models.PositiveBigIntegerField(_("taken in"), default=0)
    known = models.PositiveBigIntegerField(_("delivered again"), default=0)
    quarantined = models.PositiveBigIntegerField(_("quarantined"), default=0)
    hold = models.CharField(_("held up by"), max_length=10, choices=SourceHold, default=SourceHold.NONE, blank=True)
    said = models.TextField(_("details"), default="", blank=True)
    hold_since = models.DateTimeField(_("held up since"), null=True, blank=True)
    since = models.DateTimeField(_("known since"), db_default=Now())
    at = models.DateTimeField(_("last said"), db_default=Now())
    last_taken_at = models.DateTimeField(_("last taken in"), null=True, blank=True)

    objects = SourceStateQuerySet.as_manager()

    class Meta:
        verbose_name = _("source")
        verbose_name_plural = _("sources")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.source


class InHandQuerySet(EngineQuerySet["InHand"]):
    """What receivers had in hand, on the engine's database."""


class InHand(models.Model):
    """A redelivered message that a receiver has taken up alone; what stays here, its receiver has ended over."""

    id = models.UUIDField(primary_key=True, editable=False)
    """A digest of the source's name and of all in the message that the sender gave."""
    times = models.PositiveSmallIntegerField(default=1)
    at = models.DateTimeField(db_default=Now(), db_index=True)

    objects = InHandQuerySet.as_manager()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.id}: {self.times}"
