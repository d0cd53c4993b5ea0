"""What was won on which day, so that no page has to count the awards."""

from datetime import date
from decimal import Decimal

from django.db import models
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from awards.models.prize import Prize


class DailyStatisticQuerySet(models.QuerySet["DailyStatistic"]):
    """Statistics, and how they grow."""

    def add(self, prize_id: int, day: date, *, won: int = 0, value: Decimal | int = 0, revoked: int = 0) -> None:
        """Add to the row of that prize and day, which is made if there is none yet: one statement for one that exists.

        Whoever adds to several rows in one transaction takes them in the order of prize and day.
        """
        row = self.filter(prize_id=prize_id, day=day)
        if row.update(won=F("won") + won, value=F("value") + value, revoked=F("revoked") + revoked):
            return
        self.bulk_create([self.model(prize_id=prize_id, day=day)], ignore_conflicts=True)
        row.update(won=F("won") + won, value=F("value") + value, revoked=F("revoked") + revoked)


class DailyStatistic(models.Model):
    """How often a prize was won on a day (of the site's time zone), and how many of those awards were taken back."""

    prize = models.ForeignKey(Prize, on_delete=models.CASCADE, db_index=False, verbose_name=_("prize"))
    day = models.DateField(_("day"))
    won = models.PositiveIntegerField(_("won"), default=0)
    value = models.DecimalField(_("value"), max_digits=20, decimal_places=2, default=0)
    revoked = models.PositiveIntegerField(_("revoked"), default=0)

    objects = DailyStatisticQuerySet.as_manager()

    class Meta:
        verbose_name = _("daily statistic")
        verbose_name_plural = _("daily statistics")
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["prize", "day"], name="awards_dailystatistic_once")]

    def __str__(self) -> str:
        return f"{self.day}: {self.won}"
