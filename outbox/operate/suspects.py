"""Whether the other side may have acted on a message that did not succeed."""

from outbox import registry
from outbox.declared import Consumer
from outbox.models import Attempt, Message
from outbox.models.attempt import LEAVES_DOUBT
from outbox.policy import Reason

ACTED_BY_REASON = frozenset({Reason.ENDED_TRANSACTION, Reason.MAY_HAVE_HAPPENED, Reason.EFFECT_UNKNOWN})


def may_have_acted(message: Message) -> bool:
    """Tell whether the world outside may have acted although the message did not succeed; it reads the attempts."""
    decided = decide_without_attempts(message, registry.get(message.consumer))
    return Attempt.objects.filter(LEAVES_DOUBT, message_id=message.pk).exists() if decided is None else decided


def decide_without_attempts(message: Message, consumer: Consumer | None) -> bool | None:
    """Return whether the world outside may have acted, as far as it can be known without the attempts; else None.

    An atomic consumer's work was rolled back, unless its handler ended the transaction. Any other may have reached the
    other side when an attempt was cut off: by a timeout, by a broken connection, or because its worker died or came
    too late.
    """
    if message.reason in ACTED_BY_REASON:
        return True
    return False if consumer is not None and consumer.atomic else None
