"""What ``manage.py check`` says of what comes from other systems."""

from collections.abc import Iterator

import pytest

from outbox import receive, sources
from outbox.checks.sources import check_sources
from outbox.sources import Told


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    sources.forget_source("partner")


def found(*, topic: Told = "shop.sold", broker: str = "partner") -> list[str]:
    receive("partner.events", source="partner", topic=topic, broker=broker)
    return [str(message.id) for message in check_sources()]


def test_a_source_whose_broker_has_an_address_is_in_order(settings) -> None:
    settings.OUTBOX = {**settings.OUTBOX, "BROKERS": {"partner": "amqps://user:pass%40word@host:5671/vhost"}}

    assert found() == []
    assert found(topic=lambda m: m.routing_key) == []


def test_a_broker_without_an_address_is_an_error() -> None:
    assert found() == ["outbox.E060"]


def test_a_topic_to_which_nobody_listens_is_a_warning(settings) -> None:
    settings.OUTBOX = {**settings.OUTBOX, "BROKERS": {"partner": "amqp://host"}}

    assert found(topic="nobody.listens") == ["outbox.W061"]


def test_from_files_nothing_is_received(settings) -> None:
    assert found(broker="") == (["outbox.I004"] if settings.EMBEDDED else [])


@pytest.mark.parametrize(
    ("brokers", "said"),
    [
        (["amqp://host"], "must have addresses by name"),
        ({"": "amqp://host"}, "must have addresses by name"),
        ({"partner": "http://host"}, "must be an address that begins with amqp"),
        ({"partner": "amqp://one;https://user:secret@two"}, "must be an address that begins with amqp"),
        ({"partner": 5672}, "must be an address that begins with amqp"),
    ],
)
def test_what_is_no_address_by_name_is_refused_and_no_password_is_shown(settings, brokers, said) -> None:
    from outbox.conf import conf_problems

    settings.OUTBOX = {**settings.OUTBOX, "BROKERS": brokers}

    [problem] = conf_problems()
    assert said in problem
    assert "secret" not in problem
