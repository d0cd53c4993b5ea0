"""What is at stake: said by the publisher or by the consumer, kept with the message, refused where it is nonsense."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from outbox import Draft, publish, publish_many
from outbox.errors import ConsumerError, InvalidMessage
from outbox.models import Message

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_hints(dispatched: Any) -> None:
    """Send nothing."""


def worth_of_all() -> list[tuple[str, Decimal | None, str]]:
    return list(Message.objects.order_by("consumer").values_list("consumer", "value", "currency"))


def test_what_the_publisher_says_is_kept_with_every_message(three: None) -> None:
    with transaction.atomic():
        publish("test.sold", key=1, payload={}, value=Decimal("12.50"), currency="EUR")

    assert worth_of_all() == [(name, Decimal("12.50"), "EUR") for name in ("test.a", "test.b", "test.c")]


def test_without_a_value_nothing_is_at_stake(three: None) -> None:
    with transaction.atomic():
        publish("test.sold", key=1, payload={})

    assert {worth[1:] for worth in worth_of_all()} == {(None, "")}


def test_a_consumer_may_know_better_or_put_nothing_at_stake(listen: Any) -> None:
    listen(name="test.a", value=lambda draft: (Decimal(draft.payload["price"]), "GBP"))
    listen(name="test.b", value=False)
    listen(name="test.till", value=lambda _draft: None)
    listen(name="test.other")

    with transaction.atomic():
        publish_many([Draft("test.sold", key=1, payload={"price": "3.10"}, value=7, currency="EUR")])

    assert worth_of_all() == [
        ("test.a", Decimal("3.10"), "GBP"),
        ("test.b", None, ""),
        ("test.other", Decimal(7), "EUR"),
        ("test.till", None, ""),
    ]


@pytest.mark.parametrize(
    ("value", "currency", "said"),
    [
        (1.5, "EUR", "a Decimal or an int"),
        (True, "EUR", "a Decimal or an int"),
        ("7", "EUR", "a Decimal or an int"),
        (None, "EUR", "a Decimal or an int"),
        (7, "", "currency of test.sold is ''"),
        (7, "E\u202eUR", "currency of test.sold"),
        (7, "ninechars", "1 to 8 letters or digits"),
        (-1, "EUR", "from 0 to less than"),
        (10**11, "EUR", "from 0 to less than"),
        (Decimal("NaN"), "EUR", "from 0 to less than"),
        (Decimal("Infinity"), "EUR", "from 0 to less than"),
        (Decimal("0.00001"), "EUR", "at most 4 decimal places"),
    ],
)
def test_what_cannot_be_kept_is_refused_before_anything_is_written(
    value: Any, currency: str, said: str, three: None
) -> None:
    with pytest.raises(InvalidMessage, match=said), transaction.atomic():
        publish("test.sold", key=1, payload={}, value=value, currency=currency)

    assert not Message.objects.exists()


@pytest.mark.parametrize("said", [7, (7,), (1.5, "EUR"), (7, "")])
def test_a_consumer_s_nonsense_is_refused_and_named(said: Any, listen: Any) -> None:
    listen(value=lambda _draft: said)

    with pytest.raises(InvalidMessage, match=r"test\.till"), transaction.atomic():
        publish("test.sold", key=1, payload={})


def test_a_consumer_s_value_is_a_function_or_yes_or_no(listen: Any) -> None:
    with pytest.raises(ConsumerError, match="value=7"):
        listen(value=7)


@pytest.mark.parametrize("fields", [{"value": 7}, {"currency": "EUR"}, {"value": -1, "currency": "EUR"}])
def test_the_database_keeps_no_value_without_a_currency(fields: dict[str, Any], three: None) -> None:
    with transaction.atomic():
        publish("test.sold", key=1, payload={})

    with pytest.raises(IntegrityError), transaction.atomic():
        Message.objects.update(**fields)


def test_the_largest_amounts_survive_the_way_to_the_table_and_back(three: None) -> None:
    most = Decimal("99999999999.9999")

    with transaction.atomic():
        publish("test.sold", key=1, payload={}, value=most, currency="EUR")

    assert {worth for _name, worth, _currency in worth_of_all()} == {most}
