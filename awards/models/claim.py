"""Where winners want their gifts sent: personal data, in this table and no other."""

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from awards.models.award import Award

NAME_LENGTH = 100
STREET_LENGTH = 150
POSTCODE_LENGTH = 12
CITY_LENGTH = 80
COUNTRY_LENGTH = 60
PHONE_LENGTH = 30


class Claim(models.Model):
    """Where one award goes. The row is deleted when its person is forgotten; the award stays."""

    award = models.OneToOneField(Award, on_delete=models.PROTECT, primary_key=True, verbose_name=_("award"))
    name = models.CharField(_("name"), max_length=NAME_LENGTH)
    street = models.CharField(_("street and number"), max_length=STREET_LENGTH)
    postcode = models.CharField(_("postcode"), max_length=POSTCODE_LENGTH)
    city = models.CharField(_("town"), max_length=CITY_LENGTH)
    country = models.CharField(_("country"), max_length=COUNTRY_LENGTH)
    phone = models.CharField(_("telephone"), max_length=PHONE_LENGTH, blank=True, default="")
    given_at = models.DateTimeField(_("given"), db_default=Now())

    class Meta:
        verbose_name = _("claim")
        verbose_name_plural = _("claims")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def recipient(self) -> str:
        """The whole address in one line, for the vendor alone."""
        lines = [self.name, self.street, f"{self.postcode} {self.city}", self.country, self.phone]
        return ", ".join(line for line in lines if line)

    @property
    def masked(self) -> str:
        """What others may see of it: the first letter of the name, the town and the country."""
        return f"{self.name[:1]}…, {self.city}, {self.country}"
