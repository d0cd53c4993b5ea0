"""Programs that may draw for people: a shop's servers, each with a key."""

from datetime import timedelta
from typing import TYPE_CHECKING, Self

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Case, DateTimeField, F, Q, When
from django.db.models.functions import Greatest, Now
from django.utils.translation import gettext_lazy as _

KEY_PREFIX_LENGTH = 12
MINUTE = timedelta(minutes=1)
USUAL_RATE = 600
MOST_A_MINUTE = 60_000


class Scope(models.TextChoices):
    """What a client may do."""

    DRAW = "draw", _("draw for people")
    ENTITLE = "entitle", _("give people entitlements and links")
    READ = "read", _("read campaigns, and the draws, awards and points of people")
    CLAIM = "claim", _("say where a gift goes")


class ApiClientQuerySet(models.QuerySet["ApiClient"]):
    """Clients, and the pace of their calls."""

    def active(self) -> Self:
        """Keep those whose key is valid."""
        return self.filter(revoked_at__isnull=True)

    def take_turn(self, client: "ApiClient") -> bool:
        """Count a call of ``client``; False if it has made as many as it may in a minute, or was revoked just now.

        Each call sets ``full_at`` a minute / ``rate`` later, from now on at the earliest. It may be a minute ahead.
        """
        pace = MINUTE / client.rate
        free = Q(full_at__isnull=True) | Q(full_at__lte=Now() + MINUTE - pace)
        begins = Case(When(full_at__isnull=True, then=Now()), default=Greatest(F("full_at"), Now()))
        next_at = models.ExpressionWrapper(begins + pace, output_field=DateTimeField())
        return self.active().filter(free, pk=client.pk).update(full_at=next_at, last_used_at=Now()) == 1

    def revoke(self, client: "ApiClient", *, actor: str) -> bool:
        """Make the client's key invalid for good; tell whether it was valid."""
        return self.active().filter(pk=client.pk).update(revoked_at=Now(), revoked_by=actor) == 1


class ApiClient(models.Model):
    """A program with a key, of which only the hash is kept. A key that was revoked stays known, and refused."""

    name = models.CharField(_("name"), max_length=60, unique=True)
    prefix = models.CharField(_("key begins with"), max_length=KEY_PREFIX_LENGTH, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    """The SHA-256 of the key, which has 256 random bits."""
    scopes = models.JSONField(_("what it may do"), default=list)
    rate = models.PositiveIntegerField(
        _("calls a minute"),
        default=USUAL_RATE,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_A_MINUTE)],
        help_text=_("What is more is refused, and told when to try again."),
    )
    made_by = models.CharField(_("made by"), max_length=150, editable=False)
    made_at = models.DateTimeField(_("made"), db_default=Now(), editable=False)
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)
    revoked_at = models.DateTimeField(_("key revoked"), null=True, editable=False)
    revoked_by = models.CharField(_("revoked by"), max_length=150, default="", editable=False)
    full_at = models.DateTimeField(null=True, editable=False)

    objects = ApiClientQuerySet.as_manager()

    if TYPE_CHECKING:
        id: int

    class Meta:
        verbose_name = _("client")
        verbose_name_plural = _("clients")
        default_permissions = ("view",)
        permissions = [("manage_apiclient", _("Can make and revoke the keys of clients"))]
        constraints = [
            models.CheckConstraint(condition=Q(rate__gte=1, rate__lte=MOST_A_MINUTE), name="awards_client_rate"),
        ]

    def __str__(self) -> str:
        return self.name

    def may(self, scope: Scope) -> bool:
        """Tell whether the client may do that."""
        return scope.value in self.scopes
