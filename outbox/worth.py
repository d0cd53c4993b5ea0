"""What a message is worth: checked where it is published, asked of the consumer that knows better."""

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from outbox.declared import Consumer
from outbox.errors import InvalidMessage
from outbox.models.message import CURRENCY_LENGTH, VALUE_DIGITS, VALUE_PLACES

if TYPE_CHECKING:
    from outbox.drafts import Draft

LIMIT = Decimal(10) ** (VALUE_DIGITS - VALUE_PLACES)


class Worth(NamedTuple):
    """An amount and its currency; None and no currency if nobody has said."""

    value: Decimal | None = None
    currency: str = ""


UNKNOWN = Worth()


def worth_for(consumer: Consumer, draft: "Draft", published: Worth) -> Worth:
    """Return what a draft is worth to one of its consumers. Raises ``InvalidMessage`` if the consumer says nonsense."""
    if isinstance(consumer.value, bool):
        return published if consumer.value else UNKNOWN
    said = consumer.value(draft)
    if said is None:
        return UNKNOWN
    if not isinstance(said, tuple) or len(said) != 2:
        raise InvalidMessage(f"the value of {consumer.name} is {said!r:.100}: a tuple of amount and currency, or None")
    return check_worth(f"{draft.topic} for {consumer.name}", *said)


def check_worth(where: str, value: object, currency: object) -> Worth:
    """Return an amount as the table keeps it. Raises ``InvalidMessage`` for what it cannot keep."""
    if value is None and currency == "":
        return UNKNOWN
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        raise InvalidMessage(f"value of {where} is {value!r:.100}: a Decimal or an int; a float is not exact")
    if not isinstance(currency, str) or not 0 < len(currency) <= CURRENCY_LENGTH or not currency.isalnum():
        raise InvalidMessage(
            f"currency of {where} is {currency!r:.100}: 1 to {CURRENCY_LENGTH} letters or digits, such as EUR or points"
        )
    amount = Decimal(value)
    if not amount.is_finite() or not 0 <= amount < LIMIT:
        raise InvalidMessage(f"value of {where} is {value!r:.100}: from 0 to less than {LIMIT:,}")
    if amount != amount.quantize(Decimal(1).scaleb(-VALUE_PLACES)):
        raise InvalidMessage(f"value of {where} is {value!r:.100}: at most {VALUE_PLACES} decimal places")
    return Worth(amount, currency)
