"""A campaign: when it runs, who may draw in it, and how often."""

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Self

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.formats import number_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from awards.models.prize import PrizeQuerySet
    from awards.models.sale import Sale

MOST_IN_REDIS = 1_000_000
"""Pieces of a prize whose stock is in Redis: a number each, which are put there in seconds."""


def too_many_for_redis() -> str:
    """Return, in the reader's language, how many pieces there may be of a prize whose stock is in Redis."""
    said = gettext("A prize has at most %(most)s pieces where its stock is in Redis. More are taken from the database.")
    return said % {"most": number_format(MOST_IN_REDIS, force_grouping=True)}


class Phase(models.TextChoices):
    """Where a campaign stands; one can draw in it only while it is running."""

    OFF = "off", _("switched off")
    NOT_BEGUN = "not_begun", _("not begun")
    RUNNING = "running", _("running")
    OVER = "over", _("over")


class Access(models.TextChoices):
    """Who may draw on the public page. The shop's own server draws by its key in any case."""

    LINK = "link", _("by a link that was given out")
    SIGNED_IN = "signed_in", _("by a link, or signed in")
    OPEN = "open", _("open: anybody, under any name")


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

    def spend(self, campaign: "Campaign", value: Decimal, *, in_points: bool, always: bool) -> bool:
        """Count ``value`` as spent if the budget has it left, or ``always``; tell whether it was counted."""
        name = "points" if in_points else "money"
        row = self.filter(pk=campaign.pk, **{f"budget_{name}__isnull": False})
        spent = F(f"spent_{name}") + (int(value) if in_points else value)
        if not always:
            row = row.filter(**{f"budget_{name}__gte": spent})
        return row.update(**{f"spent_{name}": spent}) == 1

    def give_back(self, campaign_id: int, value: Decimal, *, in_points: bool) -> None:
        """Count ``value`` as not spent after all."""
        name = "points" if in_points else "money"
        spent = F(f"spent_{name}") - (int(value) if in_points else value)
        self.filter(pk=campaign_id).update(**{f"spent_{name}": spent})

    def with_clock(self) -> Self:
        """Read the database's time with each campaign, as ``clock``."""
        return self.annotate(clock=Now())

    def with_sale(self) -> Self:
        """Read how each is sold in the same statement."""
        return self.select_related("sale")


class Campaign(models.Model):
    """A raffle: from when to when, how often each person may draw, and how many tickets win nothing."""

    clock: datetime
    """Not stored: when the row was read, if it was read ``with_clock``."""
    is_sold_out: bool = False
    """Not stored: whether nothing could be won when it was read, as far as whoever read it has looked."""

    if TYPE_CHECKING:
        prize_set: "PrizeQuerySet"

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
    draws_per_day = models.PositiveSmallIntegerField(
        _("draws per person and day"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("Leave empty for no limit. A day is one of this site's time zone."),
    )
    draws_per_address = models.PositiveIntegerField(
        _("draws per network address and hour"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_(
            "Of those who draw without a client's key. Leave empty for no limit; many people may share one address."
        ),
    )
    access = models.CharField(
        _("who may draw on the page"),
        max_length=9,
        choices=Access,
        default=Access.LINK,
        db_default=Access.LINK,
        help_text=_("Open is for demonstrations: anybody draws as anybody. Clients with a key may draw in any case."),
    )
    needs_entitlement = models.BooleanField(
        _("each draw uses up an entitlement"),
        default=False,
        db_default=False,
        help_text=_("Entitlements are earned in the shop, or given by a manager."),
    )
    ignores_tags = models.BooleanField(
        _("leave out +… in addresses"),
        default=False,
        db_default=False,
        help_text=_("anna+shop@… is the same person as anna@…: what follows a plus sign makes no second one."),
    )
    losing_weight = models.PositiveIntegerField(
        _("losing weight"),
        default=0,
        help_text=_("The weight of the losing ticket beside those of the prizes; 0 means that every draw wins."),
    )

    budget_money = models.DecimalField(
        _("budget in money"),
        max_digits=14,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=_("What gifts and coupons may be worth together from now on. Leave empty for no limit."),
    )
    budget_points = models.PositiveBigIntegerField(
        _("budget in points"), null=True, blank=True, help_text=_("The same for points.")
    )
    spent_money = models.DecimalField(
        _("spent in money"), max_digits=14, decimal_places=2, default=0, db_default=0, editable=False
    )
    spent_points = models.PositiveBigIntegerField(_("spent in points"), default=0, db_default=0, editable=False)
    restock_revoked = models.BooleanField(
        _("stock comes back"),
        default=False,
        help_text=_("When an award is revoked before anybody began to issue it, its piece can be won again."),
    )

    redraws_expired = models.BooleanField(
        _("redraw what is not claimed"),
        default=False,
        db_default=False,
        help_text=_(
            "A prize that nobody claimed in time is drawn once more among the losing draws. Otherwise it goes back "
            "into stock."
        ),
    )
    allows_debt = models.BooleanField(
        _("points may be taken back into debt"),
        default=False,
        db_default=False,
        help_text=_("Otherwise points are only taken back while the account has them."),
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
            models.CheckConstraint(
                condition=(Q(draws_per_day__isnull=True) | Q(draws_per_day__gte=1))
                & (Q(draws_per_address__isnull=True) | Q(draws_per_address__gte=1)),
                name="awards_campaign_limits",
            ),
            models.CheckConstraint(condition=Q(access__in=Access.values), name="awards_campaign_access"),
            models.CheckConstraint(
                condition=~Q(access="open") | Q(needs_entitlement=False),
                name="awards_campaign_open",
                violation_error_message=_(
                    "In an open campaign anybody could use up the entitlements of others. Choose one of the two."
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def how_sold(self) -> "Sale | None":
        """The flash sale, if it is one. Best read ``with_sale``."""
        return getattr(self, "sale", None)

    @property
    def sells_from_redis(self) -> bool:
        """Whether its pieces are taken in Redis. Best read ``with_sale``."""
        return self.how_sold is not None and self.how_sold.stock_in == "redis"

    def has_budget(self, *, in_points: bool) -> bool:
        """Tell whether what is won of that kind is held against a budget."""
        return (self.budget_points if in_points else self.budget_money) is not None

    @property
    def has_any_budget(self) -> bool:
        """Whether anything that is won is held against a budget."""
        return self.has_budget(in_points=True) or self.has_budget(in_points=False)

    def budget_left(self, *, in_points: bool) -> Decimal | None:
        """Return what the budget has left, None without limit."""
        budget, spent = (self.budget_points, self.spent_points) if in_points else (self.budget_money, self.spent_money)
        return None if budget is None else Decimal(budget) - Decimal(spent)

    def why_not_from_redis(self) -> str:
        """Return, in the reader's language, what of it a stock in Redis could not count; empty if it can."""
        if self.has_any_budget:
            return gettext("A campaign with a budget takes its pieces from the database.")
        if self.prize_set.filter(wins_per_day__isnull=False).exists():
            return gettext("A prize with a limit of wins a day is taken from the database.")
        if self.prize_set.filter(stock__gt=MOST_IN_REDIS).exists():
            return too_many_for_redis()
        return ""

    def clean(self) -> None:
        """Refuse, in the words of the form, a budget where the stock is in Redis, which could not count it."""
        if self.has_any_budget and self.sells_from_redis:
            raise ValidationError(self.why_not_from_redis())

    @property
    def is_open(self) -> bool:
        """Whether anybody may draw under any name."""
        return self.access == Access.OPEN

    @property
    def phase(self) -> Phase:
        """Where the campaign stood when it was read, which must have been ``with_clock``."""
        if not self.active:
            return Phase.OFF
        if self.clock < self.starts_at:
            return Phase.NOT_BEGUN
        return Phase.OVER if self.clock >= self.ends_at else Phase.RUNNING
