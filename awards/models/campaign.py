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

MOST_STOCK = 2**31 - 1
"""What the column can hold."""


class Kind(models.TextChoices):
    """The ways in which an award is issued; each has its channel, its topic and its consumer."""

    POINTS = "points", _("points")
    GIFT = "gift", _("gift")
    COUPON = "coupon", _("coupon")


class Phase(models.TextChoices):
    """Where a campaign stands; one can draw in it only while it is running."""

    OFF = "off", _("switched off")
    NOT_BEGUN = "not_begun", _("not begun")
    RUNNING = "running", _("running")
    OVER = "over", _("over")


class CampaignQuerySet(models.QuerySet["Campaign"]):
    """Campaigns, by the database's clock."""

    def running(self) -> Self:
        """Keep the campaigns in which one can draw now; the one that ends first comes first."""
        return self.in_phase(Phase.RUNNING).order_by("ends_at", "id")

    def in_phase(self, phase: Phase) -> Self:
        """Keep the campaigns that stand so now."""
        active = self.filter(active=True)
        match phase:
            case Phase.OFF:
                return self.filter(active=False)
            case Phase.NOT_BEGUN:
                return active.filter(starts_at__gt=Now())
            case Phase.OVER:
                return active.filter(ends_at__lte=Now())
            case Phase.RUNNING:
                return active.filter(starts_at__lte=Now(), ends_at__gt=Now())

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

    restock_revoked = models.BooleanField(
        _("stock comes back"),
        default=False,
        help_text=_("When an award is revoked before anybody began to issue it, its piece can be won again."),
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

    @property
    def phase(self) -> Phase:
        """Where the campaign stood when it was read, which must have been ``with_clock``."""
        if not self.active:
            return Phase.OFF
        if self.clock < self.starts_at:
            return Phase.NOT_BEGUN
        return Phase.OVER if self.clock >= self.ends_at else Phase.RUNNING


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

    def add(self, prize: "Prize", pieces: int) -> bool:
        """Put ``pieces`` on a limited stock, or take as many off if negative; tell whether it allowed that."""
        fits = self.filter(pk=prize.pk, stock__gte=-pieces, stock__lte=MOST_STOCK - pieces)
        return fits.update(stock=F("stock") + pieces) == 1

    def limit(self, prize: "Prize", pieces: int) -> bool:
        """Limit a stock that had no limit; tell whether it had none."""
        return self.filter(pk=prize.pk, stock__isnull=True).update(stock=pieces) == 1

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
