"""What can be won: a campaign, and its prizes."""

from datetime import datetime
from decimal import Decimal
from typing import Self

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now, Round
from django.utils.translation import gettext_lazy as _


class Kind(models.TextChoices):
    """The ways in which an award is issued; each has its channel, its topic and its consumer."""

    POINTS = "points", _("points")
    GIFT = "gift", _("gift")


class CampaignQuerySet(models.QuerySet["Campaign"]):
    """Campaigns, by the database's clock."""

    def running(self) -> Self:
        """Keep the campaigns in which one can draw now; the one that ends first comes first."""
        return self.filter(active=True, starts_at__lte=Now(), ends_at__gt=Now()).order_by("ends_at", "id")

    def with_clock(self) -> Self:
        """Read the database's time with each campaign, as ``clock``."""
        return self.annotate(clock=Now())


class Campaign(models.Model):
    """A raffle: from when to when, how often each person may draw, and how many tickets win nothing."""

    clock: datetime
    """Not stored: when the row was read, if it was read ``with_clock``."""

    slug = models.SlugField(_("address"), max_length=60, unique=True)
    name = models.CharField(_("name"), max_length=120)
    description = models.TextField(_("description"), blank=True, default="", max_length=2000)
    starts_at = models.DateTimeField(_("begins"))
    ends_at = models.DateTimeField(_("ends"))
    active = models.BooleanField(_("active"), default=True, help_text=_("Switch off to stop all draws at once."))
    draws_per_person = models.PositiveSmallIntegerField(
        _("draws per person"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("Leave empty for no limit."),
    )
    losing_weight = models.PositiveIntegerField(
        _("losing weight"),
        default=0,
        help_text=_("The weight of the losing ticket beside those of the prizes; 0 means that every draw wins."),
    )

    objects = CampaignQuerySet.as_manager()

    class Meta:
        verbose_name = _("campaign")
        verbose_name_plural = _("campaigns")
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at")),
                name="awards_campaign_ends_after_start",
                violation_error_message=_("A campaign must end after it begins."),
            ),
            models.CheckConstraint(
                condition=Q(draws_per_person__isnull=True) | Q(draws_per_person__gte=1), name="awards_campaign_limit"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class PrizeQuerySet(models.QuerySet["Prize"]):
    """Prizes, and how their stock is taken."""

    def drawable(self) -> Self:
        """Keep what can still be won."""
        return self.filter(Q(stock__isnull=True) | Q(stock__gt=0), weight__gt=0).order_by("id")

    def take(self, prize: "Prize") -> bool:
        """Take one piece of ``prize`` from its stock, never below zero; tell whether there was one."""
        if prize.stock is None:
            return True
        return self.filter(pk=prize.pk, stock__gt=0).update(stock=F("stock") - 1) == 1


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
    value = models.DecimalField(
        _("value"),
        max_digits=12,
        decimal_places=2,
        validators=[MinValueValidator(Decimal(0))],
        help_text=_("Points: how many. Gifts: what one is worth in money."),
    )
    vendor_sku = models.CharField(
        _("vendor's article number"), max_length=64, blank=True, default="", help_text=_("Gifts only.")
    )

    objects = PrizeQuerySet.as_manager()

    class Meta:
        verbose_name = _("prize")
        verbose_name_plural = _("prizes")
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
                condition=Q(kind="gift", vendor_sku__gt="") | (~Q(kind="gift") & Q(vendor_sku="")),
                name="awards_prize_sku",
                violation_error_message=_("A gift needs the vendor's article number, and nothing else has one."),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse, in the words of the form, an article number that the vendor's address could not carry."""
        if not self.vendor_sku.isprintable():
            raise ValidationError({"vendor_sku": _("Use printable characters only.")})
