"""What a handler and the system it talks to have said to each other, one row for each request with its answer."""

from collections.abc import Sequence

from django.db import connections, models
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from outbox.conf import conf
from outbox.models.message import Message
from outbox.models.state import EngineQuerySet

ATTEMPTS_KEPT = 20
"""Attempts of a message whose exchanges are kept: the last of them. One that is put off again and again has no end."""


EXCHANGES_READ = 200
"""Exchanges of a message that are read with it at most: those of the last attempts."""
LAST = f"""
FROM (
    SELECT number, position, request, answer FROM outbox_exchange WHERE message_id = outbox_message.id
    ORDER BY number DESC, position DESC LIMIT {EXCHANGES_READ}
) AS last
"""  # noqa: S608  # made of a constant
GATHERED = {
    "postgresql": f"(SELECT JSON_AGG(JSON_BUILD_ARRAY(number, position, request, answer))::text {LAST})",
    "sqlite": f"(SELECT JSON_GROUP_ARRAY(JSON_ARRAY(number, position, request, answer)) {LAST})",
}


def exchanges_as_json() -> RawSQL:
    """Return what ``annotate`` adds to messages: a JSON list of number, position, request and answer, or nothing."""
    return RawSQL(GATHERED[connections[conf().database].vendor], (), output_field=models.TextField())  # noqa: S611  # the constant above


class ExchangeQuerySet(EngineQuerySet["Exchange"]):
    """Exchanges, on the engine's database."""

    def keep(self, messages: Sequence[Message]) -> None:
        """Write down what the handlers of these messages have recorded; nothing is asked where none has.

        Call it in the transaction that settles them. What was written before is not written again.
        """
        said = [message for message in messages if message.exchanges]
        if not said:
            return
        self.bulk_create(
            [
                Exchange(message_id=message.pk, number=message.attempts, position=position, request=asked, answer=heard)
                for message in said
                for position, (asked, heard) in enumerate(message.exchanges or ())
            ],
            ignore_conflicts=True,
        )
        for message in said:
            if message.attempts > ATTEMPTS_KEPT:
                old = self.filter(message_id=message.pk, number__lte=message.attempts - ATTEMPTS_KEPT)
                old._raw_delete(self.db)


class Exchange(models.Model):
    """One request of an attempt and the answer to it, as texts; empty where there was none."""

    id = models.BigAutoField(primary_key=True)
    message = models.ForeignKey(Message, on_delete=models.CASCADE, verbose_name=_("message"), db_index=False)
    number = models.PositiveIntegerField(_("attempt"))
    position = models.PositiveSmallIntegerField(_("position"))
    request = models.TextField(_("request"), default="", blank=True)
    answer = models.TextField(_("answer"), default="", blank=True)
    at = models.DateTimeField(_("written"), db_default=Now())

    objects = ExchangeQuerySet.as_manager()

    class Meta:
        verbose_name = _("exchange")
        verbose_name_plural = _("exchanges")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["message", "number", "position"], name="outbox_exchange_once")]

    def __str__(self) -> str:
        return f"{self.message_id}: {self.number}.{self.position}"
