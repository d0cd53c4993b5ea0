"""What an operation would do, counted when its set is frozen: by consumer, reason and age, and what is left out."""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Case, CharField, Count, Sum, Value, When
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from outbox.models import BulkItem, BulkOperation
from outbox.models.bulk import ItemResult, Why
from outbox.policy import Reason

SAMPLES = 5
"""Messages shown of the set, from its beginning to its end."""
AGES = {
    "hour": timedelta(hours=1),
    "quarter": timedelta(hours=6),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
}
OLDER = "older"


def count(operation: BulkOperation) -> dict[str, Any]:
    """Return the preview as data: exact counts of what would be done and what it is worth, and of what is left out."""
    age = Case(
        *(When(message__finished_at__gte=Now() - span, then=Value(name)) for name, span in AGES.items()),
        default=Value(OLDER),
        output_field=CharField(),
    )
    columns = ("result", "why", "message__consumer", "message__reason", "age", "message__currency")
    counted = BulkItem.objects.of(operation).annotate(age=age).values_list(*columns)
    counted = counted.annotate(many=Count("pk"), sum=Sum("message__value"))
    consumers: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    ages: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    values: dict[str, Decimal] = {}
    for result, why, consumer, reason, bucket, currency, many, sum in counted.order_by():
        if result == ItemResult.LEFT_OUT:
            left_out[why] += many
            continue
        consumers[consumer] += many
        reasons[reason] += many
        ages[bucket] += many
        if currency and sum is not None:
            values[currency] = values.get(currency, Decimal()) + sum
    return {
        "consumers": dict(consumers.most_common()),
        "reasons": dict(reasons.most_common()),
        "ages": {name: ages[name] for name in (*AGES, OLDER) if ages[name]},
        "left_out": dict(left_out.most_common()),
        "values": {currency: str(amount) for currency, amount in values.items()},
        "samples": _samples(operation),
    }


def _samples(operation: BulkOperation) -> list[int]:
    """Return the ids of some messages, evenly from the set."""
    first, last = operation.first_item, operation.last_item
    places = {first + (last - first) * n // max(SAMPLES - 1, 1) for n in range(SAMPLES)}
    items = BulkItem.objects.of(operation).todo()
    return list(items.filter(pk__in=places).order_by("pk").values_list("message_id", flat=True)) or list(
        items.order_by("pk").values_list("message_id", flat=True)[:SAMPLES]
    )


def worth(counted: Mapping[str, Any]) -> dict[str, Decimal]:
    """Return what the messages of a preview are worth together, by currency."""
    return {currency: Decimal(amount) for currency, amount in counted.get("values", {}).items()}


def in_words(counted: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, int]]]]:
    """Return the counts as people read them: a title, and under it each label with its number; no empty ones."""
    reasons = {value: str(label) for value, label in Reason.choices}
    ages = {
        "hour": _("less than an hour ago"),
        "quarter": _("1 to 6 hours ago"),
        "day": _("6 to 24 hours ago"),
        "week": _("1 to 7 days ago"),
        OLDER: _("earlier"),
    }
    whys = {value: str(label) for value, label in Why.choices}
    parts: list[tuple[str, str, Mapping[str, str]]] = [
        (_("By consumer"), "consumers", {}),
        (_("By reason"), "reasons", reasons),
        (_("Failed"), "ages", ages),
        (_("Left out"), "left_out", whys),
    ]
    return [
        (title, [(words.get(name) or name or _("not known"), many) for name, many in counts.items()])
        for title, part, words in parts
        if (counts := counted.get(part))
    ]
