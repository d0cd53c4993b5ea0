"""Where clients want to be told of awards, and the secrets that sign what they are told."""

import secrets
from base64 import b64encode
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from awards.models.client import ApiClient

URL_LENGTH = 500
SECRET_MARK = "whsec_"  # noqa: S105  # what every secret begins with
SECRET_LENGTH = 60
BOTH_VALID = timedelta(hours=24)
"""How long after a rotation the earlier secret signs as well, so that receivers can be changed one by one."""


class WebhookQuerySet(models.QuerySet["Webhook"]):
    """Webhooks, and how their secrets change."""

    def told(self) -> Self:
        """Keep those of clients that are told now."""
        return self.filter(active=True, client__revoked_at__isnull=True)

    def rotate(self, webhook: "Webhook", *, actor: str) -> bool:
        """Give it a new secret beside the one that was read, which stays valid for a while; tell whether it was that.

        ``webhook`` then has the new secret.
        """
        new = make_secret()
        row = self.filter(pk=webhook.pk, secret=webhook.secret)
        changes = {"previous": F("secret"), "previous_until": Now() + BOTH_VALID, "secret": new}
        if row.update(**changes, set_by=actor, set_at=Now()) != 1:
            return False
        webhook.refresh_from_db()
        return True

    def with_clock(self) -> Self:
        """Read with each whether its earlier secret is still valid, as ``both_valid``."""
        return self.annotate(
            both_valid=models.ExpressionWrapper(
                Q(previous_until__isnull=False) & Q(previous_until__gt=Now()), output_field=models.BooleanField()
            )
        )


class Webhook(models.Model):
    """Where one client is told of awards that change, and what signs it. The secrets are needed as they are."""

    both_valid: bool
    """Not stored: whether the earlier secret signs as well, if it was read ``with_clock``."""

    client = models.OneToOneField(ApiClient, on_delete=models.CASCADE, primary_key=True, verbose_name=_("client"))
    url = models.CharField(_("address"), max_length=URL_LENGTH)
    active = models.BooleanField(_("active"), default=True)
    secret = models.CharField(max_length=SECRET_LENGTH, editable=False)
    previous = models.CharField(max_length=SECRET_LENGTH, default="", editable=False)
    previous_until = models.DateTimeField(null=True, editable=False)
    set_by = models.CharField(_("set by"), max_length=150, editable=False)
    set_at = models.DateTimeField(_("set"), db_default=Now(), editable=False)

    objects = WebhookQuerySet.as_manager()

    if TYPE_CHECKING:
        client_id: int

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        default_permissions = ()
        constraints = [
            models.CheckConstraint(condition=~Q(url="") & ~Q(secret=""), name="awards_webhook_whole"),
            models.CheckConstraint(
                condition=Q(previous="", previous_until__isnull=True)
                | (~Q(previous="") & Q(previous_until__isnull=False)),
                name="awards_webhook_previous",
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)


def make_secret() -> str:
    """Return a new secret: 256 random bits, written as the Standard Webhooks have it."""
    return SECRET_MARK + b64encode(secrets.token_bytes(32)).decode()
