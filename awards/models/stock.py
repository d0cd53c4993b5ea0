"""The book of stock changes: who put how much on a prize's stock or took it off, and why."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from awards.models.prize import Prize

STOCK_REASON_LENGTH = 300


class StockAct(models.TextChoices):
    """What can be done to a stock. None of them can overwrite what draws take at the same moment."""

    ADD = "add", _("add")
    REMOVE = "remove", _("remove")
    LIMIT = "limit", _("limit to")
    UNLIMIT = "unlimit", _("no limit")


class StockChange(models.Model):
    """One act on a stock, written together with it and never changed. A doubled request is one act."""

    prize = models.ForeignKey(Prize, on_delete=models.CASCADE, db_index=False, verbose_name=_("prize"))
    act = models.CharField(_("act"), max_length=7, choices=StockAct)
    pieces = models.PositiveIntegerField(_("pieces"), null=True, blank=True)
    reason = models.CharField(_("reason"), max_length=STOCK_REASON_LENGTH)
    actor = models.CharField(_("by whom"), max_length=150)
    at = models.DateTimeField(_("when"), db_default=Now())
    request_id = models.UUIDField(_("request id"), unique=True, editable=False)

    class Meta:
        verbose_name = _("stock change")
        verbose_name_plural = _("stock changes")
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(condition=Q(act__in=StockAct.values), name="awards_stockchange_act"),
            models.CheckConstraint(
                condition=Q(act="unlimit", pieces__isnull=True)
                | Q(act="limit", pieces__isnull=False)
                | Q(act__in=["add", "remove"], pieces__gte=1),
                name="awards_stockchange_pieces",
            ),
            models.CheckConstraint(condition=~Q(reason="") & ~Q(actor=""), name="awards_stockchange_named"),
        ]
        indexes = [models.Index(fields=["prize", "id"], name="awards_stockchange_prize_idx")]

    def __str__(self) -> str:
        return f"{self.act} {self.pieces if self.pieces is not None else ''}".strip()
