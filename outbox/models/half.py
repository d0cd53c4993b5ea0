"""Half messages: what is published if a write elsewhere was done, and what its check was asked and said."""

import json
import uuid
from datetime import timedelta
from typing import Any, Self

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from outbox.models.message import CURRENCY_LENGTH, KEY_LENGTH, VALUE_DIGITS, VALUE_PLACES
from outbox.models.state import EngineQuerySet
from outbox.topics import NAME_LENGTH, TOPIC_LENGTH


class HalfState(models.TextChoices):
    """How far a half message has come. The first two are not settled."""

    OPEN = "open", _("open")
    UNKNOWN = "unknown", _("unknown")
    PUBLISHED = "published", _("published")
    TAKEN_BACK = "taken_back", _("taken back")


class SettledBy(models.TextChoices):
    """Who has settled a half message."""

    PRODUCER = "producer", _("its producer")
    CHECK = "check", _("its check")
    PERSON = "person", _("a person")


class Said(models.TextChoices):
    """What a check has said, or why it has said nothing."""

    ASKED = "asked", _("asked, not answered yet")
    YES = "yes", _("it was written")
    NO = "no", _("it was not written, and never will be")
    NOT_YET = "not_yet", _("not known yet")
    UNAVAILABLE = "unavailable", _("the other side cannot be asked")
    ERROR = "error", _("the check failed")
    WRONG = "wrong", _("the check answered something else than True, False or None")
    SILENT = "silent", _("no answer within the time limit")
    LATE = "late", _("answered too late")
    MISSING = "missing", _("the check is not in the code")
    REFUSED = "refused", _("it was written, and the message could not be published")


UNSETTLED = (HalfState.OPEN, HalfState.UNKNOWN)


class HalfQuerySet(EngineQuerySet["Half"]):
    """Half messages, on the engine's database."""

    def unsettled(self) -> Self:
        """Keep those of which nobody has said yet whether they are messages."""
        return self.filter(state__in=UNSETTLED)

    def due(self) -> Self:
        """Keep those whose check is to be asked now, or has not answered in time; the longest due first."""
        return self.filter(state=HalfState.OPEN, check_at__lte=Now()).order_by("check_at")

    def settle(self, state: HalfState, *, by: SettledBy) -> int:
        """Settle those that are not settled; return how many were."""
        return self.unsettled().update(
            state=state, settled_by=by, settled_at=Now(), check_at=None, asked_at=None, revision=F("revision") + 1
        )

    def settled_before(self, span: timedelta) -> Self:
        """Keep those that were settled longer ago than this."""
        return self.filter(settled_at__lt=Now() - span)


class Half(models.Model):
    """What will be a message if a write that no transaction of ours covers was done; its check knows."""

    id = models.BigAutoField(primary_key=True)
    write_id = models.UUIDField(_("id of the write"), default=uuid.uuid4, unique=True, editable=False)
    """What the write carries to the other side, and by which the check finds it there."""
    topic = models.CharField(_("topic"), max_length=TOPIC_LENGTH)
    key = models.CharField(_("business id"), max_length=KEY_LENGTH)
    payload_json = models.TextField(_("payload"))
    headers_json = models.TextField(default="{}")
    ordering_key = models.CharField(_("ordering key"), max_length=KEY_LENGTH, default="", blank=True)
    value = models.DecimalField(max_digits=VALUE_DIGITS, decimal_places=VALUE_PLACES, null=True, blank=True)
    currency = models.CharField(max_length=CURRENCY_LENGTH, default="", blank=True)
    otherwise = models.CharField(_("topic if it is taken back"), max_length=TOPIC_LENGTH, default="", blank=True)
    check_name = models.CharField(_("check"), max_length=NAME_LENGTH)
    state = models.CharField(_("state"), max_length=10, choices=HalfState, default=HalfState.OPEN)
    prepared_at = models.DateTimeField(_("prepared"), db_default=Now())
    check_at = models.DateTimeField(_("next question"), null=True, blank=True)
    asked_at = models.DateTimeField(_("under way since"), null=True, blank=True)
    """When the check was asked that has not answered yet."""
    asked = models.PositiveIntegerField(_("questions"), default=0)
    fruitless = models.PositiveIntegerField(_("questions that count"), default=0)
    """Answers that brought nothing and count towards the limit."""
    settled_at = models.DateTimeField(_("settled"), null=True, blank=True)
    settled_by = models.CharField(_("settled by"), max_length=8, choices=SettledBy, default="", blank=True)
    revision = models.PositiveIntegerField(default=0)

    objects = HalfQuerySet.as_manager()

    class Meta:
        verbose_name = _("half message")
        verbose_name_plural = _("half messages")
        default_permissions = ("view",)
        permissions = [("decide_half", _("Can publish half messages and take them back"))]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=HalfState.values), name="outbox_half_state"),
            models.CheckConstraint(
                condition=Q(state="open", check_at__isnull=False) | (~Q(state="open") & Q(check_at__isnull=True)),
                name="outbox_half_check_at",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["open", "unknown"], settled_at__isnull=True, settled_by="")
                | Q(state__in=["published", "taken_back"], settled_at__isnull=False),
                name="outbox_half_settled",
            ),
        ]
        indexes = [
            models.Index(fields=["check_at"], condition=Q(state="open"), name="outbox_half_due"),
            models.Index(fields=["prepared_at"], condition=Q(state="unknown"), name="outbox_half_unknown"),
            models.Index(fields=["settled_at"], name="outbox_half_settled_at"),
            models.Index(fields=["state", "-id"], name="outbox_half_list"),
        ]

    def __str__(self) -> str:
        return f"half message {self.pk}: {self.topic} {self.key}"

    @property
    def payload(self) -> Any:
        """What is published, if it is."""
        return json.loads(self.payload_json)

    @property
    def headers(self) -> dict[str, Any]:
        """The headers of that message."""
        return dict(json.loads(self.headers_json))


class HalfAnswerQuerySet(EngineQuerySet["HalfAnswer"]):
    """Questions and answers, on the engine's database."""


class HalfAnswer(models.Model):
    """One question to a check, and what came of it."""

    id = models.BigAutoField(primary_key=True)
    half = models.ForeignKey(
        Half, on_delete=models.CASCADE, related_name="answers", verbose_name=_("half message"), db_index=False
    )
    number = models.PositiveIntegerField(_("number"))
    said = models.CharField(_("answer"), max_length=11, choices=Said, default=Said.ASKED)
    detail = models.TextField(_("details"), default="", blank=True)
    worker = models.CharField(_("worker"), max_length=100, default="", blank=True)
    at = models.DateTimeField(_("asked"), db_default=Now())
    answered_at = models.DateTimeField(_("answered"), null=True, blank=True)

    objects = HalfAnswerQuerySet.as_manager()

    class Meta:
        verbose_name = _("answer of a check")
        verbose_name_plural = _("answers of checks")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["half", "number"], name="outbox_halfanswer_once")]

    def __str__(self) -> str:
        return f"{self.number}: {self.said}"
