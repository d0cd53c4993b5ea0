"""Bulk operations: one act on a frozen set of messages, carried out in chunks by the workers, and what became of each.

The set is frozen: its items name messages by id and revision, without a foreign key, so that neither pruning nor a new
failure changes what was previewed and approved. The items go after a while, the operation stays.
"""

from typing import Self

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from outbox.models.message import Message
from outbox.models.state import EngineQuerySet
from outbox.models.status import HandledAs
from outbox.topics import NAME_LENGTH


class BulkVerb(models.TextChoices):
    """What is done to each message of the set."""

    RETRY = "retry", _("retry")
    EDIT = "edit", _("edit and retry")
    HANDLE = "handle", _("mark as handled")
    DISCARD = "discard", _("discard")
    REOPEN = "reopen", _("reopen")


RETRIES = (BulkVerb.RETRY, BulkVerb.EDIT)
"""Acts that let messages be tried again, and so have outcomes to wait for."""


class BulkState(models.TextChoices):
    """How far an operation has come."""

    DRAFT = "draft", _("preview")
    WAITING = "waiting", _("waits for approval")
    CANARY = "canary", _("trying a few first")
    RUNNING = "running", _("running")
    SUSPENDED = "suspended", _("suspended")
    PAUSED = "paused", _("paused")
    STOPPED = "stopped", _("stopped itself")
    DONE = "done", _("done")
    CANCELLED = "cancelled", _("cancelled")


ACTIVE = (BulkState.CANARY, BulkState.RUNNING, BulkState.SUSPENDED)
"""States in which workers go on with an operation, and in which it has its consumers for itself."""
ENDED = (BulkState.DONE, BulkState.CANCELLED)
"""States that are never left."""


class StoppedBecause(models.TextChoices):
    """Why an operation stopped itself."""

    CANARY = "canary", _("not every message of the trial succeeded")
    FAILURES = "failures", _("too many failed again")


class ItemResult(models.TextChoices):
    """What became of one message of the set; empty: its turn has not come."""

    DONE = "done", _("done")
    LEFT_OUT = "left_out", _("left out")
    REFUSED = "refused", _("refused")


class Why(models.TextChoices):
    """Why a message was left out or refused."""

    STARTED = "started", _("the machine is not done with it")
    CLOSED = "closed", _("it is closed")
    NOT_CLOSED = "not_closed", _("nobody has closed it by hand")
    MAY_HAVE_ACTED = "may_have_acted", _("the other side may have acted")
    NO_CONSUMER = "no_consumer", _("no consumer of that name is in the code")
    CHANGED = "changed", _("somebody has changed it since")
    GONE = "gone", _("it is no longer there")
    ISSUED = "issued", _("evidence says that it was issued")
    BUSINESS = "business", _("the business does not permit it")
    UNFIT = "unfit", _("the change does not fit its payload")
    FOR_GOOD = "for_good", _("the business cannot take it back")


class FirstOutcome(models.TextChoices):
    """How the first attempt after the retry ended; empty: not known yet."""

    SUCCEEDED = "succeeded", _("succeeded")
    FAILED = "failed", _("failed again")
    NOT_READY = "not_ready", _("not ready")
    OVERTAKEN = "overtaken", _("somebody has acted on it since")


class BulkOperationQuerySet(EngineQuerySet["BulkOperation"]):
    """Bulk operations, on the engine's database."""

    def active(self) -> Self:
        """Keep those that workers go on with."""
        return self.filter(state__in=ACTIVE)

    def awaiting_outcomes(self) -> Self:
        """Keep those of which first attempts after the retry have not ended, as far as is known."""
        known = F("succeeded") + F("failed_again") + F("not_ready") + F("overtaken")
        return self.filter(verb__in=RETRIES, done__gt=known).exclude(state__in=[BulkState.DRAFT, BulkState.DONE])


class BulkOperation(models.Model):
    """One act on a frozen set of messages: what, by whom, why, how fast, and how far it has come."""

    id = models.BigAutoField(primary_key=True)
    verb = models.CharField(_("act"), max_length=7, choices=BulkVerb)
    state = models.CharField(_("state"), max_length=9, choices=BulkState, default=BulkState.DRAFT)
    source = models.JSONField(_("set"), default=dict)
    patch = models.JSONField(_("change of the payloads"), default=dict)
    """What an edit changes, as ``operate.patch.Patch`` reads it; empty for any other act."""
    preview = models.JSONField(_("preview"), default=dict)
    digest = models.CharField(_("digest of the set"), max_length=64, default="", blank=True)
    created_by = models.CharField(_("prepared by"), max_length=150)
    created_at = models.DateTimeField(_("prepared"), db_default=Now())
    started_by = models.CharField(_("started by"), max_length=150, default="", blank=True)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    approved_by = models.CharField(_("approved by"), max_length=150, default="", blank=True)
    approved_at = models.DateTimeField(_("approved"), null=True, blank=True)
    changed_at = models.DateTimeField(_("last change of state"), db_default=Now())
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    told = models.BooleanField(default=True, editable=False)
    """Whether people were told of the state it is in, where that is one to tell of."""
    reason = models.TextField(_("reason"), default="", blank=True)
    origin = models.CharField(_("from where"), max_length=100, default="", blank=True)
    handled_as = models.CharField(_("handled as"), max_length=11, choices=HandledAs, default="", blank=True)
    evidence = models.CharField(_("evidence"), max_length=300, default="", blank=True)
    rate = models.PositiveIntegerField(_("messages per second"), null=True, blank=True)
    canary_size = models.PositiveIntegerField(_("messages tried first"), default=0)
    canary_passed_at = models.DateTimeField(_("trial passed"), null=True, blank=True)
    stop_percent = models.PositiveSmallIntegerField(_("stop above so many percent"), null=True, blank=True)
    stopped_because = models.CharField(
        _("stopped because"), max_length=8, choices=StoppedBecause, default="", blank=True
    )
    held_by = models.CharField(_("waits for the consumer"), max_length=NAME_LENGTH, default="", blank=True)
    revision = models.PositiveIntegerField(_("operator changes"), default=0)

    total = models.PositiveIntegerField(_("messages"), default=0)
    left_out = models.PositiveIntegerField(_("left out"), default=0)
    done = models.PositiveIntegerField(_("done"), default=0)
    refused = models.PositiveIntegerField(_("refused"), default=0)
    succeeded = models.PositiveIntegerField(_("succeeded"), default=0)
    failed_again = models.PositiveIntegerField(_("failed again"), default=0)
    not_ready = models.PositiveIntegerField(_("not ready"), default=0)
    overtaken = models.PositiveIntegerField(_("overtaken"), default=0)
    done_before = models.PositiveIntegerField(default=0, editable=False)
    """How many were done when an operator last let it go on: the stop rule counts from there."""
    failed_before = models.PositiveIntegerField(default=0, editable=False)
    """How many of them had failed again."""

    first_item = models.BigIntegerField(default=0, editable=False)
    last_item = models.BigIntegerField(default=0, editable=False)
    position = models.BigIntegerField(default=0, editable=False)
    """The item after which the next chunk begins."""
    watch_position = models.BigIntegerField(default=0, editable=False)
    """The item after which outcomes are looked for next."""
    next_at = models.DateTimeField(null=True, blank=True, editable=False)
    """When the rate permits the next message."""
    chunk_size = models.PositiveSmallIntegerField(default=200, editable=False)
    items_pruned_at = models.DateTimeField(_("items removed"), null=True, blank=True)

    objects = BulkOperationQuerySet.as_manager()

    class Meta:
        verbose_name = _("bulk operation")
        verbose_name_plural = _("bulk operations")
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(condition=Q(state__in=BulkState.values), name="outbox_bulkoperation_state"),
            models.CheckConstraint(
                condition=Q(state__in=["done", "cancelled"], ended_at__isnull=False)
                | (~Q(state__in=["done", "cancelled"]) & Q(ended_at__isnull=True)),
                name="outbox_bulkoperation_ended",
            ),
            models.CheckConstraint(
                condition=Q(total__gte=F("left_out") + F("done") + F("refused")), name="outbox_bulkoperation_counts"
            ),
        ]

    def __str__(self) -> str:
        return f"bulk operation {self.pk}"

    @property
    def retries(self) -> bool:
        """Tell whether it lets messages be tried again."""
        return self.verb in RETRIES

    @property
    def remaining(self) -> int:
        """How many messages have not had their turn."""
        return self.total - self.left_out - self.done - self.refused

    @property
    def awaited(self) -> int:
        """How many retried messages have not ended their first attempt, as far as is known."""
        if not self.retries:
            return 0
        return self.done - self.succeeded - self.failed_again - self.not_ready - self.overtaken

    @property
    def is_trying(self) -> bool:
        """Tell whether its trial is not over."""
        return self.canary_size > 0 and self.canary_passed_at is None


class BulkConsumerQuerySet(EngineQuerySet["BulkConsumer"]):
    """Consumers in bulk operations, on the engine's database."""


class BulkConsumer(models.Model):
    """One consumer's share of an operation. Of a consumer only one operation runs at a time."""

    id = models.BigAutoField(primary_key=True)
    operation = models.ForeignKey(BulkOperation, on_delete=models.CASCADE, related_name="consumers", db_index=False)
    consumer = models.CharField(_("consumer"), max_length=NAME_LENGTH)
    messages = models.PositiveIntegerField(_("messages"), default=0)
    runs = models.BooleanField(default=False)

    objects = BulkConsumerQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["operation", "consumer"], name="outbox_bulkconsumer_once"),
            models.UniqueConstraint(fields=["consumer"], condition=Q(runs=True), name="outbox_bulkconsumer_alone"),
        ]

    def __str__(self) -> str:
        return f"{self.operation_id} {self.consumer}"


class BulkItemQuerySet(EngineQuerySet["BulkItem"]):
    """Items of bulk operations, on the engine's database."""

    def of(self, operation: BulkOperation) -> Self:
        """Keep the items of one operation: a range of ids, in which those of another may lie between."""
        return self.filter(pk__gte=operation.first_item, pk__lte=operation.last_item, operation=operation)

    def todo(self) -> Self:
        """Keep what has not had its turn."""
        return self.filter(result="")

    def awaited(self) -> Self:
        """Keep what was retried and has not ended its first attempt, as far as is known."""
        return self.filter(result=ItemResult.DONE, outcome="")


class BulkItem(models.Model):
    """One message of a frozen set, as it was frozen, and what became of it."""

    id = models.BigAutoField(primary_key=True)
    operation = models.ForeignKey(BulkOperation, on_delete=models.CASCADE, related_name="items", db_index=False)
    # No constraint in the database: a message may be pruned, and the item still says what was done to it.
    message = models.ForeignKey(Message, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    revision = models.PositiveIntegerField(_("revision when frozen"))
    attempts = models.PositiveIntegerField(_("attempts before"), default=0, db_default=0)
    result = models.CharField(_("result"), max_length=8, choices=ItemResult, default="", db_default="", blank=True)
    why = models.CharField(_("why"), max_length=14, choices=Why, default="", db_default="", blank=True)
    said = models.TextField(_("what the business said"), default="", db_default="", blank=True)
    outcome = models.CharField(
        _("first attempt"), max_length=9, choices=FirstOutcome, default="", db_default="", blank=True
    )

    objects = BulkItemQuerySet.as_manager()

    class Meta:
        verbose_name = _("item of a bulk operation")
        verbose_name_plural = _("items of bulk operations")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["message", "operation"], name="outbox_bulkitem_once")]

    def __str__(self) -> str:
        return f"{self.operation_id}: {self.message_id}"
