"""What stands before luck: who is blocked, how much comes from one address, and how often somebody was refused."""

from datetime import date, datetime
from typing import Self

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from awards.models.campaign import Campaign
from awards.models.draw import PERSON_LENGTH

ADDRESS_DIGEST_LENGTH = 32
REFUSAL_CODE_LENGTH = 40


class BlockKind(models.TextChoices):
    """What is blocked."""

    PERSON = "person", _("a person")
    ADDRESS = "address", _("a network address")


class BlockQuerySet(models.QuerySet["Block"]):
    """Blocks, and whom they meet."""

    def against(self, *, person: str, address: str) -> Self:
        """Keep those that meet the person, or the address if there is one, now."""
        meets = Q(kind=BlockKind.PERSON, subject=person)
        if address:
            meets |= Q(kind=BlockKind.ADDRESS, subject=address)
        return self.filter(meets, Q(until__isnull=True) | Q(until__gt=Now()))


class Block(models.Model):
    """Somebody, or an address, that cannot draw in any campaign."""

    kind = models.CharField(_("what"), max_length=7, choices=BlockKind, default=BlockKind.PERSON)
    subject = models.CharField(_("which"), max_length=PERSON_LENGTH)
    reason = models.CharField(_("reason"), max_length=300, help_text=_("Kept for whoever asks later."))
    until = models.DateTimeField(_("until"), null=True, blank=True, help_text=_("Leave empty for always."))
    blocked_by = models.CharField(_("by whom"), max_length=150, editable=False)
    blocked_at = models.DateTimeField(_("since"), db_default=Now(), editable=False)

    objects = BlockQuerySet.as_manager()

    class Meta:
        verbose_name = _("block")
        verbose_name_plural = _("blocks")
        constraints = [
            models.UniqueConstraint(fields=["kind", "subject"], name="awards_block_once"),
            models.CheckConstraint(condition=Q(kind__in=BlockKind.values), name="awards_block_kind"),
        ]

    def __str__(self) -> str:
        return str(self.get_kind_display())


class AddressCountQuerySet(models.QuerySet["AddressCount"]):
    """How many draws came from an address in an hour."""

    def count_one(self, campaign: Campaign, digest: str, hour: datetime, *, most: int) -> bool:
        """Count one more; False, and nothing is counted, if there were as many as there may be."""
        row = self.filter(campaign=campaign, digest=digest, hour=hour)
        if row.filter(draws__lt=most).update(draws=F("draws") + 1):
            return True
        if row.exists():
            return False
        self.filter(campaign=campaign, hour__lt=hour).delete()
        self.bulk_create([self.model(campaign=campaign, digest=digest, hour=hour)], ignore_conflicts=True)
        return row.filter(draws__lt=most).update(draws=F("draws") + 1) == 1


class AddressCount(models.Model):
    """The draws of one hour from one network address, of which only a fingerprint is kept, and no longer than that."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, db_index=False)
    digest = models.CharField(max_length=ADDRESS_DIGEST_LENGTH)
    hour = models.DateTimeField()
    draws = models.PositiveIntegerField(default=0)

    objects = AddressCountQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["campaign", "hour", "digest"], name="awards_address_once")]

    def __str__(self) -> str:
        return f"{self.hour}: {self.draws}"


class RefusalQuerySet(models.QuerySet["Refusal"]):
    """Refusals, and how they are counted."""

    def count_one(self, campaign: Campaign, code: str, day: date) -> None:
        """Count one more refusal: one statement where the row exists."""
        self.count_many(campaign.pk, code, day, 1)

    def count_many(self, campaign_id: int, code: str, day: date, times: int) -> None:
        """Count several at once."""
        row = self.filter(campaign_id=campaign_id, code=code, day=day)
        if not row.update(times=F("times") + times):
            self.bulk_create([self.model(campaign_id=campaign_id, code=code, day=day)], ignore_conflicts=True)
            row.update(times=F("times") + times)


class Refusal(models.Model):
    """How often draws of a campaign were refused on a day, and by which code."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, db_index=False, verbose_name=_("campaign"))
    code = models.CharField(_("code"), max_length=REFUSAL_CODE_LENGTH)
    day = models.DateField(_("day"))
    times = models.PositiveIntegerField(_("times"), default=0)

    objects = RefusalQuerySet.as_manager()

    class Meta:
        verbose_name = _("refusal")
        verbose_name_plural = _("refusals")
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["campaign", "day", "code"], name="awards_refusal_once")]

    def __str__(self) -> str:
        return f"{self.day} {self.code}: {self.times}"
