"""What can be won: the prizes of a campaign."""

from datetime import date
from decimal import Decimal
from typing import Any, Self

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Round
from django.utils.translation import gettext_lazy as _

from awards.models import days
from awards.models.campaign import MOST_IN_REDIS, Campaign, too_many_for_redis

MOST_STOCK = 2**31 - 1
"""What the column can hold."""
MOST_CLAIM_DAYS = 365


class Kind(models.TextChoices):
    """The ways in which an award is issued; each has its channel, its topic and its consumer."""

    POINTS = "points", _("points")
    GIFT = "gift", _("gift")
    COUPON = "coupon", _("coupon")


class PrizeQuerySet(models.QuerySet["Prize"]):
    """Prizes, and how their stock is taken."""

    def drawable(self) -> Self:
        """Keep what has any weight and is in stock."""
        return self.filter(Q(stock__isnull=True) | Q(stock__gt=0), weight__gt=0).order_by("id")

    def take(self, prize: "Prize", today: date) -> bool:
        """Take one piece of ``prize`` from its stock, never below zero, and count it against its limit of the day.

        Tell whether there was one. What has neither stock nor limit is not written to.
        """
        row, changes = self.filter(pk=prize.pk), dict[str, Any]()
        if prize.stock is not None:
            row = row.filter(stock__gt=0)
            changes["stock"] = F("stock") - 1
        if prize.wins_per_day is not None:
            row = row.filter(days.begins(today, day="win_day") | Q(wins_that_day__lt=F("wins_per_day")))
            changes |= days.one_more(today, day="win_day", times="wins_that_day")
        return not changes or row.update(**changes) == 1

    def add(self, prize: "Prize", pieces: int, *, beside: int = 0) -> bool:
        """Put ``pieces`` on a limited stock, or take as many off if negative; tell whether it allowed that.

        ``beside`` is how many of the stock are somebody's already.
        """
        fits = self.filter(pk=prize.pk, stock__gte=beside - pieces, stock__lte=MOST_STOCK - pieces)
        return fits.update(stock=F("stock") + pieces) == 1

    def limit(self, prize: "Prize", pieces: int) -> bool:
        """Limit a stock that had no limit and may have one; tell whether it was so."""
        return self.filter(pk=prize.pk, stock__isnull=True, is_fallback=False).update(stock=pieces) == 1

    def unlimit(self, prize: "Prize") -> bool:
        """Take the limit off a stock; tell whether it had one."""
        return self.filter(pk=prize.pk, stock__isnull=False).update(stock=None) == 1


class Prize(models.Model):
    """What a campaign gives away: how likely, how many, and what it is worth."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, verbose_name=_("campaign"))
    name = models.CharField(_("name"), max_length=120)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    weight = models.PositiveIntegerField(
        _("weight"),
        default=1,
        help_text=_("A prize of weight 2 is won twice as often as one of weight 1; 0 takes it out."),
    )
    stock = models.PositiveIntegerField(_("stock"), null=True, blank=True, help_text=_("Leave empty for no limit."))
    returns_to_stock = models.BooleanField(
        _("back in stock if not given out"),
        default=True,
        db_default=True,
        help_text=_("What an operator cancels or compensates otherwise can be won by somebody else."),
    )
    claim_days = models.PositiveSmallIntegerField(
        _("days to claim it"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_CLAIM_DAYS)],
        help_text=_("Gifts only: winners say where to send it within these days, or it expires. Leave empty for none."),
    )
    value = models.DecimalField(
        _("value"),
        max_digits=12,
        decimal_places=2,
        validators=[MinValueValidator(Decimal(0))],
        help_text=_("Points: how many. Gifts and coupons: what one is worth in money."),
    )
    vendor_sku = models.CharField(
        _("vendor's article number"), max_length=64, blank=True, default="", help_text=_("Gifts only.")
    )

    starts_at = models.DateTimeField(
        _("can be won from"), null=True, blank=True, help_text=_("Leave empty for as long as the campaign runs.")
    )
    ends_at = models.DateTimeField(_("can be won until"), null=True, blank=True)
    wins_per_day = models.PositiveIntegerField(
        _("wins a day at most"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("Leave empty for no limit. A day is one of this site's time zone."),
    )
    wins_per_person = models.PositiveIntegerField(
        _("wins per person at most"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("Leave empty for no limit. What was taken back does not count."),
    )
    is_fallback = models.BooleanField(
        _("given when nothing else is left"),
        default=False,
        db_default=False,
        help_text=_(
            "Whoever draws when nothing can be won gets this one, instead of being refused. It has no limits, and the "
            "budget does not hold it."
        ),
    )
    numbered = models.PositiveIntegerField(_("pieces numbered"), default=0, db_default=0, editable=False)
    """The highest number that a piece has; only a stock that is taken in Redis has numbers."""
    win_day = models.DateField(_("last won on"), null=True, editable=False)
    wins_that_day = models.PositiveIntegerField(_("wins on that day"), default=0, db_default=0, editable=False)

    objects = PrizeQuerySet.as_manager()

    class Meta:
        verbose_name = _("prize")
        verbose_name_plural = _("prizes")
        permissions = [("change_stock", _("Can change the stock of prizes"))]
        constraints = [
            models.UniqueConstraint(fields=["campaign", "name"], name="awards_prize_name_once"),
            models.CheckConstraint(condition=Q(kind__in=Kind.values), name="awards_prize_kind"),
            models.CheckConstraint(condition=Q(stock__isnull=True) | Q(stock__gte=0), name="awards_prize_stock"),
            models.CheckConstraint(condition=Q(value__gte=0), name="awards_prize_value"),
            models.CheckConstraint(
                condition=~Q(kind="points") | Q(value__gte=1, value=Round("value")),
                name="awards_prize_whole_points",
                violation_error_message=_("Points must be a whole number, at least 1."),
            ),
            models.CheckConstraint(
                condition=Q(starts_at__isnull=True) | Q(ends_at__isnull=True) | Q(ends_at__gt=F("starts_at")),
                name="awards_prize_span",
                violation_error_message=_("It must be won from an earlier time than until when."),
            ),
            models.CheckConstraint(
                condition=(Q(wins_per_day__isnull=True) | Q(wins_per_day__gte=1))
                & (Q(wins_per_person__isnull=True) | Q(wins_per_person__gte=1)),
                name="awards_prize_limits",
            ),
            models.CheckConstraint(
                condition=Q(is_fallback=False)
                | Q(
                    stock__isnull=True,
                    wins_per_day__isnull=True,
                    wins_per_person__isnull=True,
                    starts_at__isnull=True,
                    ends_at__isnull=True,
                ),
                name="awards_prize_fallback",
                violation_error_message=_("What is given when nothing else is left has no stock and no limits."),
            ),
            models.UniqueConstraint(
                fields=["campaign"],
                condition=Q(is_fallback=True),
                name="awards_prize_fallback_once",
                violation_error_message=_("Another prize of this campaign is given already when nothing else is left."),
            ),
            models.CheckConstraint(
                condition=Q(claim_days__isnull=True)
                | Q(kind="gift", claim_days__gte=1, claim_days__lte=MOST_CLAIM_DAYS),
                name="awards_prize_claim",
                violation_error_message=_("Only gifts are claimed, within 1 to 365 days."),
            ),
            models.CheckConstraint(
                condition=Q(kind="gift", vendor_sku__gt="") | (~Q(kind="gift") & Q(vendor_sku="")),
                name="awards_prize_sku",
                violation_error_message=_("A gift needs the vendor's article number, and nothing else has one."),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def wins_on(self, today: date) -> int:
        """Return how often it was won today."""
        return days.times_on(today, day=self.win_day, times=self.wins_that_day)

    def clean(self) -> None:
        """Refuse, in the words of the form, an article number that the vendor's address could not carry.

        And a limit of wins a day, or a stock, that Redis could not count where the stock is there.
        """
        if not self.vendor_sku.isprintable():
            raise ValidationError({"vendor_sku": _("Use printable characters only.")})
        if self.wins_per_day is not None and self.campaign_id and self.campaign.sells_from_redis:
            raise ValidationError(_("A prize with a limit of wins a day is taken from the database."))
        if (self.stock or 0) > MOST_IN_REDIS and self.campaign_id and self.campaign.sells_from_redis:
            raise ValidationError(too_many_for_redis())
