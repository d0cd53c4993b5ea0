"""Who listens to what: declarations that make no sense are refused at start-up, and the rest has its defaults."""

from datetime import timedelta

import pytest

from outbox import registry
from outbox.errors import ConsumerError
from outbox.policy import Backoff
from outbox.registry import consumer


def handle(_message):
    """Do nothing."""


def handle_too(_message):
    """Do nothing either."""


@pytest.mark.parametrize(
    ("pattern", "options", "error"),
    [
        ("", {}, "a pattern is words joined by dots"),
        ("a..b", {}, "a pattern is words joined by dots"),
        ("a.b*", {}, "a pattern is words joined by dots"),
        ("a b", {}, "a pattern is words joined by dots"),
        ("**", {}, "a pattern is words joined by dots"),
        ("a", {"bulk": True, "atomic": False}, "bulk=True needs atomic=True"),
        ("a", {"deadline": timedelta(0)}, "is no timedelta greater than zero"),
        ("a", {"timeout": timedelta(seconds=-1)}, "is no timedelta greater than zero"),
        ("a", {"timeout": 5}, "timeout=5 is no timedelta greater than zero"),
        ("a", {"chunk": 0}, "chunk=0 is no whole number from 1 on"),
        ("a", {"chunk": True}, "chunk=True is no whole number from 1 on"),
        ("a", {"chunk": "5"}, "chunk='5' is no whole number from 1 on"),
        ("a", {"high_water": 0}, "high_water=0 is no whole number from 1 on"),
        ("a", {"retry": 5}, "retry=5 is no outbox.Backoff"),
        ("a", {"sort": "x"}, "sort='x' is no function of a message"),
        (print, {}, "the topic comes first"),
        ("a", {"name": "with space"}, "words joined by dots, at most 100 characters"),
        ("a", {"name": "x" * 101}, "words joined by dots, at most 100 characters"),
        ("a", {"name": "control"}, 'not "control" or "dead"'),
        ("a", {"name": "dead"}, 'not "control" or "dead"'),
        ("a", {"chunk": 1000}, "lower chunk or timeout"),
        ("a", {"timeout": timedelta(minutes=20), "chunk": 1}, "lower chunk or timeout"),
    ],
    ids=str,
)
def test_a_declaration_that_makes_no_sense_is_refused_at_start_up(pattern, options, error):
    before = registry.all_consumers()

    with pytest.raises(ConsumerError, match=error):
        consumer(pattern, **{"name": "test.wrong", **options})(handle)

    assert registry.all_consumers() == before


async def later(message):
    """Would return a coroutine."""


def bit_by_bit(message):
    yield message


async def bit_by_bit_later(message):
    yield message


@pytest.mark.parametrize("handler", [later, bit_by_bit, bit_by_bit_later])
def test_a_function_that_would_not_run_when_it_is_called_is_refused(handler):
    with pytest.raises(ConsumerError, match="would not run when it is called"):
        consumer("a", name="test.late")(handler)

    assert registry.get("test.late") is None


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        (lambda: None, "is called with one argument: too many positional arguments"),
        (lambda message, *, more: None, "is called with one argument: missing a required .*argument: 'more'"),
        (dict, "is no function"),
        ("name", "is no function"),
    ],
)
def test_what_cannot_be_called_with_a_message_is_refused(handler, error):
    with pytest.raises(ConsumerError, match=error):
        consumer("a", name="test.odd")(handler)

    assert registry.get("test.odd") is None


def test_two_functions_cannot_have_one_name(listen):
    listen(handle, name="test.a")

    with pytest.raises(ConsumerError, match=r"two consumers are named 'test\.a'; give one of them name="):
        consumer("test.sold", name="test.a")(handle_too)


def test_the_same_function_may_be_declared_again_as_when_its_module_is_reloaded(listen):
    listen(handle, name="test.a")

    consumer("test.other", name="test.a")(handle)

    assert registry.get("test.a").pattern == "test.other"


def test_a_consumer_has_the_defaults_of_the_readme(listen):
    listen(handle, name="test.a")
    consumer("test.sold", name="test.a")(handle)

    entry = registry.get("test.a")

    assert (entry.retry, entry.atomic, entry.bulk) == (Backoff(limit=8), True, False)
    assert (entry.timeout, entry.deadline) == (timedelta(seconds=15), timedelta(days=7))
    assert (entry.chunk, entry.hint_limit) == (50, 50)
    assert (entry.lease, entry.time_limit) == (timedelta(seconds=10), timedelta(seconds=810))


def test_outside_a_transaction_the_lease_and_the_chunk_are_those_of_slow_work(listen):
    entry = listen(handle, name="test.a", atomic=False, timeout=timedelta(seconds=20), high_water=3)

    assert (entry.chunk, entry.hint_limit) == (5, 3)
    assert (entry.lease, entry.time_limit) == (timedelta(seconds=30), timedelta(seconds=115))


def test_a_bulk_consumer_may_take_its_time_once_together_and_three_times_for_a_row_alone(listen):
    entry = listen(handle, name="test.a", bulk=True, chunk=500, timeout=timedelta(seconds=15))

    assert entry.time_limit == timedelta(seconds=4 * 16 + 10)


def test_a_consumer_is_named_after_its_app_and_function():
    consumer("test.sold")(handle)

    entry = registry.get("tests.outbox.handle")
    registry.forget_consumer("tests.outbox.handle")

    assert entry is not None
    assert entry.handler is handle


def test_consumers_of_a_topic_come_by_name(listen):
    for name in ("test.c", "test.a", "test.b"):
        listen(handle, name=name)
    listen(handle, name="test.other", topic="test.other")

    assert [entry.name for entry in registry.consumers_of("test.sold")] == ["test.a", "test.b", "test.c"]
