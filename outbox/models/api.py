"""What programs have to do with the desk: the tokens they show, and what their calls were answered."""

from datetime import timedelta
from typing import Self

from django.db import models
from django.db.models import BooleanField, Case, DateTimeField, DurationField, ExpressionWrapper, F, Q, When
from django.db.models.functions import Greatest, Now
from django.utils.translation import gettext_lazy as _

from outbox.models.state import EngineQuerySet

TOKEN_NAME_LENGTH = 60
PREFIX_LENGTH = 10
"""Characters of a token by which people recognise it."""
KEY_LENGTH = 200
NOTED_EVERY = timedelta(minutes=1)
"""How often at most it is written down that a token was used."""
ANSWERS_KEPT = timedelta(days=1)
"""How long it is kept what a call with an ``Idempotency-Key`` was answered."""
WINDOW = timedelta(minutes=1)
"""In how long the calls of the setting may be made."""


IN_TIME = Q(expires_at__gt=Now())
"""A token that is not over."""


class TokenScope(models.TextChoices):
    """What a token is for. It lets nobody do what its owner may not do."""

    READ_MESSAGES = "messages:read", _("read messages, attempts and failure groups")
    RETRY_MESSAGES = "messages:retry", _("retry messages")
    CLOSE_MESSAGES = "messages:close", _("handle, discard, withdraw and reopen messages")
    READ_PAYLOADS = "payloads:read", _("read payloads unmasked")
    READ_OPERATIONS = "operations:read", _("read bulk operations")
    RUN_OPERATIONS = "operations:run", _("preview, start, pause and cancel bulk operations")
    READ_CONSUMERS = "consumers:read", _("read consumers and health")
    PAUSE_CONSUMERS = "consumers:pause", _("pause and resume consumers")


class ApiTokenQuerySet(EngineQuerySet["ApiToken"]):
    """Tokens, on the engine's database."""

    def valid(self) -> Self:
        """Keep what is neither revoked nor over."""
        return self.filter(IN_TIME, revoked_at__isnull=True)

    def with_time(self) -> Self:
        """Read with each whether it ``is_in_time``, by the database's clock."""
        return self.annotate(is_in_time=ExpressionWrapper(IN_TIME, output_field=BooleanField()))

    def take_turn(self, token: "ApiToken", *, calls: int) -> bool:
        """Count a call, of which there may be so many a minute; False if the next may only be made later.

        ``full_at`` is when the calls that were made would have been made at an even pace. It may be a minute ahead.
        """
        pace = WINDOW / calls
        begins = Greatest(F("full_at"), Now())
        free = Q(full_at__isnull=True) | Q(full_at__lte=Now() + WINDOW - pace)
        unnoted = Q(last_used_at__isnull=True) | Q(last_used_at__lt=Now() - NOTED_EVERY)
        changed = self.filter(free, pk=token.pk).update(
            full_at=Case(
                When(full_at__isnull=True, then=Now() + pace), default=begins + pace, output_field=DateTimeField()
            ),
            last_used_at=Case(When(unnoted, then=Now()), default=F("last_used_at")),
        )
        return bool(changed)

    def full_in(self, token: "ApiToken") -> timedelta:
        """Return how far ahead the calls of a token that were made reach, at an even pace."""
        ahead = ExpressionWrapper(F("full_at") - Now(), output_field=DurationField())
        return self.filter(pk=token.pk).values_list(ahead, flat=True).first() or timedelta(0)


class ApiToken(models.Model):
    """A secret by which a program acts for a person: the hash of it, what it is for, and until when.

    The owner is named by id and without a foreign key: people may be in another database, or not be there at all.
    """

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(_("name"), max_length=TOKEN_NAME_LENGTH)
    owner = models.CharField(_("acts for"), max_length=150)
    owner_key = models.CharField(max_length=64, editable=False)
    """The primary key of the owner, as text."""
    prefix = models.CharField(_("begins with"), max_length=PREFIX_LENGTH)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    """The SHA-256 of the secret, which has 256 random bits."""
    scopes = models.JSONField(_("scopes"), default=list)
    made_by = models.CharField(_("made by"), max_length=150)
    made_at = models.DateTimeField(_("made"), db_default=Now())
    expires_at = models.DateTimeField(_("valid until"))
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)
    revoked_by = models.CharField(_("revoked by"), max_length=150, default="", blank=True)
    full_at = models.DateTimeField(null=True, blank=True, editable=False)
    """The end of the calls that were made, if they are thought of as made at an even pace."""

    is_in_time: bool
    """Whether it is not over; of those alone that were read ``with_time``."""

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")
        default_permissions = ("view",)
        permissions = [("manage_apitoken", _("Can make and revoke API tokens"))]

    def __str__(self) -> str:
        return f"API token {self.prefix}"


class ApiAnswerQuerySet(EngineQuerySet["ApiAnswer"]):
    """Answers, on the engine's database."""


class ApiAnswer(models.Model):
    """What a call with an ``Idempotency-Key`` was answered, so that the same call is answered the same."""

    id = models.BigAutoField(primary_key=True)
    token = models.ForeignKey(ApiToken, on_delete=models.CASCADE, db_index=False)
    key = models.CharField(max_length=KEY_LENGTH)
    call = models.CharField(max_length=64)
    """The SHA-256 of what was asked for."""
    answer = models.JSONField(default=dict)
    at = models.DateTimeField(db_default=Now(), db_index=True)

    objects = ApiAnswerQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["token", "key"], name="outbox_apianswer_once")]

    def __str__(self) -> str:
        return f"{self.token_id} {self.key}"
