"""What a forward may be declared with: what is wrong is said at start-up, with what to write instead."""

from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from kombu import Exchange

from outbox import consumer, forward, registry
from outbox.conf import conf
from outbox.errors import ConsumerError
from outbox.external.brokers import addresses_of
from tests.outbox.external.conftest import NAME

ORDERS = Exchange("orders", type="topic")

REFUSED = {
    "no name": (("",), {"exchange": ORDERS}, "its name comes first"),
    "no exchange": ((NAME,), {"exchange": "orders"}, 'exchange=Exchange("orders", type="topic")'),
    "an unknown format": ((NAME,), {"exchange": ORDERS, "format": "xml"}, "is neither of ['cloudevents', 'json']"),
    "an unknown broker": ((NAME,), {"exchange": ORDERS, "broker": "nobody"}, "OUTBOX[\"BROKERS\"] has no 'nobody'"),
    "a long routing key": ((NAME,), {"exchange": ORDERS, "routing_key": "x" * 256}, "is no text of up to 255 bytes"),
    "no span": ((NAME,), {"exchange": ORDERS, "timeout": 15}, "timeout=15 is no timedelta"),
    "no count": ((NAME,), {"exchange": ORDERS, "chunk": 0}, "chunk=0 is no whole number"),
    "a long timeout": (
        (NAME,),
        {"exchange": ORDERS, "timeout": timedelta(minutes=10)},
        "a hint may take up to 0:40:14, more than 0:15:00; lower timeout",
    ),
}


@pytest.mark.parametrize(("first", "options", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_is_said_at_start_up(first, options, said):
    with pytest.raises(ConsumerError) as info:
        forward(*first, "order.#", **options)

    assert said in str(info.value)
    assert registry.get(NAME) is None


def test_cloud_events_need_their_library(monkeypatch):
    monkeypatch.setattr("outbox.external.envelopes.find_spec", lambda _name: None)

    with pytest.raises(ConsumerError, match=r"pip install \"django-makegood\[cloudevents\]\""):
        forward(NAME, "order.#", exchange=ORDERS, format="cloudevents")


def test_a_forward_works_in_chunks_and_has_no_pool_of_calls(lead):
    entry = lead()

    assert (entry.works_in_chunks, entry.wide, entry.atomic, entry.chunk) == (True, False, False, 500)
    assert entry.time_limit == timedelta(seconds=74)
    assert entry.lease == timedelta(seconds=15) + conf().lease


def test_a_module_that_is_imported_again_makes_the_same_forward_and_another_of_the_name_is_refused(lead, exchange):
    entry = lead()

    forward(NAME, "test.sold", exchange=Exchange(exchange.name, type="topic"), retry=entry.retry)
    with pytest.raises(ConsumerError, match="two consumers are named"):
        forward(NAME, "test.sold", exchange=Exchange("another", type="topic"), retry=entry.retry)
    with pytest.raises(ConsumerError, match="two consumers are named"):
        consumer("test.sold", name=NAME)(lambda _message: None)


def test_what_an_operator_closes_and_the_machine_gives_up_reaches_the_business(lead):
    ends = []
    lead(on_handled=ends.append, on_exhausted=ends.append)

    assert registry.teller_of(NAME).tells_of == NAME
    registry.forget_consumer(f"{NAME}.exhausted")


BROKERS = {
    "no dict": (["amqp://host"], "must have addresses by name"),
    "no name": ({"": "amqp://host"}, "must have addresses by name"),
    "no address": ({"partner": "redis://:secret@host"}, "must be an address that begins with amqp:// or amqps://"),
    "one of two": ({"partner": "amqp://a;b"}, "must be an address that begins with amqp:// or amqps://"),
    "an unknown key": ({"partner": {"URL": "amqp://secret@a", "TLS": {}}}, 'or a dict of "URL" and "SSL"'),
    "no options": ({"partner": {"URL": "amqps://secret@a", "SSL": "yes"}}, "must be True, False, or a dict"),
}


@pytest.mark.parametrize(("brokers", "said"), BROKERS.values(), ids=BROKERS)
def test_brokers_that_make_no_sense_are_said_without_their_passwords(brokers, said, configure):
    configure(BROKERS=brokers)

    with pytest.raises(ImproperlyConfigured) as info:
        conf()

    assert said in str(info.value)
    assert "secret" not in str(info.value)


def test_by_amqps_the_name_of_each_address_must_be_in_its_certificate():
    [(first, by_first), (second, by_second)] = addresses_of("amqps://u:p@a.example//;amqps://u:p@b.example//")

    assert (first, second) == ("amqps://u:p@a.example//", "amqps://u:p@b.example//")
    assert (by_first["server_hostname"], by_second["server_hostname"]) == ("a.example", "b.example")
    assert addresses_of("amqp://a//") == [("amqp://a//", False)]
    assert addresses_of({"URL": "amqp://a//", "SSL": False}) == [("amqp://a//", False)]
