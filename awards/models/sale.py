"""A flash sale: how a campaign's stock is kept, how fast it may be drawn from, and whether it is open."""

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, Self

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from awards.models.campaign import Campaign, Phase
from awards.models.draw import PERSON_LENGTH, REQUEST_ID_LENGTH
from awards.models.risk import REFUSAL_CODE_LENGTH

LONGEST_WITHIN = 3600
BECAUSE_LENGTH = 300
DIGEST_LENGTH = 64


class StockIn(models.TextChoices):
    """Where pieces are taken from."""

    DATABASE = "database", _("the database")
    REDIS = "redis", _("Redis")


class SaleState(models.TextChoices):
    """Whether one can draw, beside what the campaign's dates say."""

    NEW = "new", _("opens with the campaign")
    WARMING = "warming", _("being prewarmed")
    OPEN = "open", _("open")
    CLOSED = "closed", _("closed")


class Because(models.TextChoices):
    """Why a sale stands as it does. What is stored is English; the label is in the reader's language."""

    BEGUN = "the campaign has begun", _("the campaign has begun")
    OPENED = "a person has opened it", _("a person has opened it")
    CLOSED = "a person has closed it", _("a person has closed it")
    COUNTED = "a person has the stock counted", _("a person has the stock counted")
    COMMANDED = "by command", _("by command")
    STOCK_CHANGED = "the stock was changed", _("the stock was changed")
    NOT_IN_REDIS = "the stock is not in Redis", _("the stock is not in Redis")
    EMPTY_IN_REDIS = "Redis has no piece, and the database has", _("Redis has no piece, and the database has")
    TOO_MANY = "a prize has more pieces than Redis takes in", _("a prize has more pieces than Redis takes in")
    HANDED_OUT_TWICE = "Redis has handed out a piece twice", _("Redis has handed out a piece twice")


class SaleQuerySet(models.QuerySet["Sale"]):
    """Sales, and how they change their state: each change asks for the state that was read."""

    def with_clock(self) -> Self:
        """Read the database's time with each sale, as ``clock``."""
        return self.annotate(clock=Now())

    def close_for_warming(self, sale: "Sale", because: Because) -> bool:
        """Let nobody draw until the stock was counted once more, if it is still the epoch that was read."""
        current = self.filter(pk=sale.pk, epoch=sale.epoch, state__in=[SaleState.OPEN, SaleState.NEW])
        return current.update(state=SaleState.WARMING, because=because, changed_at=Now()) == 1

    def open(self, sale: "Sale") -> bool:
        """Let people draw, if it is still the epoch that was warmed."""
        warm = self.filter(pk=sale.pk, epoch=sale.epoch, state=SaleState.WARMING)
        return warm.update(state=SaleState.OPEN, because="", changed_at=Now(), sold_out_at=None) == 1

    def outdate(self, sale: "Sale") -> None:
        """Have what Redis was filled with, or is being filled with, never be drawn. The row must be locked.

        If somebody could draw, or soon, nobody can until the stock was counted once more.
        """
        row, older = self.filter(pk=sale.pk), F("epoch") + 1
        if sale.state in (SaleState.OPEN, SaleState.WARMING):
            row.update(epoch=older, state=SaleState.WARMING, because=Because.STOCK_CHANGED, changed_at=Now())
        else:
            row.update(epoch=older)

    def switch(
        self,
        sale: "Sale",
        state: SaleState,
        *,
        of: Collection[SaleState] = tuple(SaleState),
        because: Because | None = None,
    ) -> bool:
        """Have a person open or close it, if it stands as one ``of`` these; tell whether that changed anything."""
        other = self.filter(pk=sale.pk, state__in=of).exclude(state=state)
        return other.update(state=state, because=because or "", changed_at=Now()) == 1


class Sale(models.Model):
    """How a campaign is drawn from when very many want to draw at once. A campaign without one is drawn from as ever.

    ``epoch`` grows with each prewarming, and with each change of a stock. A piece that was taken in Redis in an earlier
    epoch is never drawn.
    """

    campaign = models.OneToOneField(Campaign, on_delete=models.CASCADE, verbose_name=_("campaign"))
    stock_in = models.CharField(
        _("stock is taken from"),
        max_length=8,
        choices=StockIn,
        default=StockIn.DATABASE,
        db_default=StockIn.DATABASE,
        help_text=_("Redis takes pieces without a lock that all wait for. It needs REDIS_URL."),
    )
    rate = models.PositiveIntegerField(
        _("draws a second"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("What is more is refused at once (429), before it costs anything. Leave empty for no limit."),
    )
    burst = models.PositiveIntegerField(
        _("burst"),
        default=1,
        db_default=1,
        validators=[MinValueValidator(1)],
        help_text=_("How many draws may come at the same moment after a pause."),
    )
    queues = models.BooleanField(
        _("draws wait in a queue"),
        default=False,
        db_default=False,
        help_text=_("A program is answered 202 with an address to ask; workers draw for many at once."),
    )
    within = models.PositiveIntegerField(
        _("seconds in the queue at most"),
        default=30,
        db_default=30,
        validators=[MinValueValidator(1), MaxValueValidator(LONGEST_WITHIN)],
        help_text=_("Who has waited longer is answered: not won."),
    )
    paused_consumers = models.TextField(
        _("consumers paused meanwhile"),
        blank=True,
        default="",
        db_default="",
        help_text=_(
            "One name a line. They are paused when the sale opens, and go on when it is closed or the campaign ends. "
            "A change of this list while it is open acts at once."
        ),
    )
    at_rest = models.JSONField(_("consumers that it has paused"), null=True, editable=False)
    """Their names, from when the sale was opened until it is closed; None before and after that."""
    state = models.CharField(
        _("state"), max_length=7, choices=SaleState, default=SaleState.NEW, db_default=SaleState.NEW, editable=False
    )
    because = models.CharField(
        _("why"), max_length=BECAUSE_LENGTH, blank=True, default="", db_default="", editable=False
    )
    changed_at = models.DateTimeField(_("since"), db_default=Now(), editable=False)
    epoch = models.PositiveIntegerField(_("epoch"), default=0, db_default=0, editable=False)
    sold_out_at = models.DateTimeField(_("sold out at"), null=True, blank=True, editable=False)

    objects = SaleQuerySet.as_manager()

    if TYPE_CHECKING:
        campaign_id: int
        clock: datetime  # not stored: when the row was read, if it was read ``with_clock``

    class Meta:
        verbose_name = _("flash sale")
        verbose_name_plural = _("flash sales")
        permissions = [("run_sale", _("Can open and close flash sales"))]
        constraints = [
            models.CheckConstraint(condition=Q(stock_in__in=StockIn.values), name="awards_sale_stock_in"),
            models.CheckConstraint(condition=Q(state__in=SaleState.values), name="awards_sale_state"),
            models.CheckConstraint(
                condition=(Q(rate__isnull=True) | Q(rate__gte=1)) & Q(burst__gte=1), name="awards_sale_rate"
            ),
            models.CheckConstraint(condition=Q(within__gte=1, within__lte=LONGEST_WITHIN), name="awards_sale_within"),
            models.CheckConstraint(
                condition=Q(queues=False) | Q(stock_in="database"),
                name="awards_sale_queues",
                violation_error_message=_("Draws that wait in a queue take their pieces from the database."),
            ),
        ]

    def __str__(self) -> str:
        return str(self.campaign)

    def clean(self) -> None:
        """Refuse, in the words of the form, what a stock in Redis cannot count."""
        if self.stock_in == StockIn.REDIS and self.campaign_id and (said := self.campaign.why_not_from_redis()):
            raise ValidationError({"stock_in": said})

    @property
    def is_open(self) -> bool:
        """Whether one can draw, as far as the sale is concerned."""
        return self.state == SaleState.OPEN or (self.state == SaleState.NEW and self.stock_in == StockIn.DATABASE)

    @property
    def phase(self) -> Phase:
        """Where its campaign stood when the sale was read, which must have been ``with_clock``."""
        self.campaign.clock = self.clock
        return self.campaign.phase

    @property
    def is_on(self) -> bool:
        """Whether somebody has opened it and nobody has closed it since; it may be prewarmed at this moment."""
        return self.state in (SaleState.OPEN, SaleState.WARMING)

    @property
    def standing(self) -> str:
        """What a person's act changes, and nothing that changes by itself while it is on: to tell an old page by."""
        return "on" if self.is_on else f"{self.state} since {self.changed_at.isoformat()}"

    @property
    def why(self) -> str:
        """Why it stands as it does, in the reader's language; empty if there is nothing to say."""
        return str(Because(self.because).label) if self.because in Because else self.because

    @property
    def consumers_to_pause(self) -> list[str]:
        """The names that were given, in their order."""
        return list(dict.fromkeys(self.paused_consumers.split()))


class SaleSecondQuerySet(models.QuerySet["SaleSecond"]):
    """What came in, second by second."""

    def add(self, campaign_id: int, second: datetime, *, admitted: int, refused: int) -> None:
        """Count what one process has let in and refused in one second."""
        row = self.filter(campaign_id=campaign_id, second=second)
        more = {"admitted": F("admitted") + admitted, "refused": F("refused") + refused}
        if not row.update(**more):
            self.bulk_create([self.model(campaign_id=campaign_id, second=second)], ignore_conflicts=True)
            row.update(**more)


class SaleSecond(models.Model):
    """How many requests were let in and refused in one second: written by each web process, once a second at most."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, db_index=False)
    second = models.DateTimeField()
    admitted = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)

    objects = SaleSecondQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["campaign", "second"], name="awards_salesecond_once")]

    def __str__(self) -> str:
        return f"{self.second}: {self.admitted} + {self.refused}"


class QueuedRefusal(models.Model):
    """A draw that waited in the queue and was refused in the end, so that whoever asks is told."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, db_index=False)
    request_id = models.CharField(max_length=REQUEST_ID_LENGTH)
    person = models.CharField(max_length=PERSON_LENGTH)
    digest = models.CharField(max_length=DIGEST_LENGTH)
    code = models.CharField(max_length=REFUSAL_CODE_LENGTH)
    refused_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["campaign", "request_id"], name="awards_queuedrefusal_once"),
        ]

    def __str__(self) -> str:
        return f"{self.request_id}: {self.code}"
