"""Who drew: one row per draw, and one count per person and campaign."""

import uuid
from datetime import date
from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from awards.models import days
from awards.models.campaign import Campaign

if TYPE_CHECKING:
    from awards.models.award import Award

PERSON_LENGTH = 200
REQUEST_ID_LENGTH = 100
REDRAWN = "redraw-"
"""What the request's id of a redraw begins with. No request from outside has such an id."""


class ParticipationQuerySet(models.QuerySet["Participation"]):
    """How often somebody has drawn in a campaign."""

    def count_one(self, campaign: Campaign, person: str, today: date) -> bool:
        """Count one more draw of ``person``, and tell whether the campaign's limits allowed it.

        The row is locked until the transaction ends, so that one person's draws run one after the other.
        """
        mine = self.filter(campaign=campaign, person=person)
        if campaign.draws_per_person is not None:
            mine = mine.filter(draws__lt=campaign.draws_per_person)
        if campaign.draws_per_day is not None:
            mine = mine.filter(days.begins(today, day="day") | Q(draws_today__lt=campaign.draws_per_day))
        counted = {"draws": F("draws") + 1, **days.one_more(today, day="day", times="draws_today")}
        if mine.update(**counted):
            return True
        self.bulk_create([self.model(campaign=campaign, person=person, day=today)], ignore_conflicts=True)
        return mine.update(**counted) == 1


class Participation(models.Model):
    """How often a person has drawn in a campaign: what the limit per person is held against."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, db_index=False, verbose_name=_("campaign"))
    person = models.CharField(_("person"), max_length=PERSON_LENGTH)
    draws = models.PositiveIntegerField(_("draws"), default=0)
    day = models.DateField(_("last drawn on"), null=True)
    draws_today = models.PositiveIntegerField(_("draws on that day"), default=0)

    objects = ParticipationQuerySet.as_manager()

    class Meta:
        verbose_name = _("participation")
        verbose_name_plural = _("participations")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["campaign", "person"], name="awards_participation_once"),
        ]

    def __str__(self) -> str:
        return f"{self.person}: {self.draws}"

    def draws_on(self, today: date) -> int:
        """Return how often the person has drawn today."""
        return days.times_on(today, day=self.day, times=self.draws_today)


class DrawQuerySet(models.QuerySet["Draw"]):
    """Draws, together with what they won."""

    def with_award(self) -> Self:
        """Read the campaign, the award and its prize in the same statement."""
        return self.select_related("campaign", "award__prize")

    def not_erased(self) -> Self:
        """Keep those of people who were not forgotten."""
        return self.filter(digest__gt="")


class Draw(models.Model):
    """One draw: who asked for it, and by which request, so that a doubled request gets the same answer.

    ``digest`` is the fingerprint of what was asked; the same request id with other data is refused. It is empty once
    the person was forgotten.
    """

    repeated: bool = False
    """Not stored: whether this draw answers a request that had been answered before."""

    public_id = models.UUIDField(_("public id"), unique=True, default=uuid.uuid4, editable=False)
    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, db_index=False, verbose_name=_("campaign"))
    request_id = models.CharField(_("request id"), max_length=REQUEST_ID_LENGTH)
    person = models.CharField(_("person"), max_length=PERSON_LENGTH)
    digest = models.CharField(_("digest of the request"), max_length=64)
    drawn_at = models.DateTimeField(_("drawn"), db_default=Now())
    proof = models.JSONField(_("proof"), default=dict, editable=False)
    """The tickets at that moment, the number that was drawn, and the code's version: ``awards.rules`` reads it."""
    redraw_of = models.OneToOneField(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="redrawn",
        verbose_name=_("redraw of"),
    )
    """The losing draw that was drawn for a prize which nobody had claimed."""

    objects = DrawQuerySet.as_manager()

    if TYPE_CHECKING:
        award: "Award"

    class Meta:
        verbose_name = _("draw")
        verbose_name_plural = _("draws")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["campaign", "request_id"], name="awards_draw_once"),
            models.CheckConstraint(condition=~models.Q(person=""), name="awards_draw_person"),
        ]
        indexes = [models.Index(fields=["person"], name="awards_draw_person_idx")]

    def __str__(self) -> str:
        return str(self.public_id)

    @property
    def is_erased(self) -> bool:
        """Whether the person who drew was forgotten."""
        return not self.digest

    @property
    def won(self) -> "Award | None":
        """The award that the draw won, or None if it lost."""
        return getattr(self, "award", None)
