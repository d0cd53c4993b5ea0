"""Who listens to what: declarations that make no sense are refused at start-up, and the rest has its defaults."""

from datetime import timedelta
from functools import partial

import pytest

from outbox import registry
from outbox.declaring import consumer
from outbox.errors import ConsumerError
from outbox.policy import Backoff


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
        ("a", {"concurrency": 5}, "concurrency= is for calls outside a transaction; give it atomic=False"),
        ("a", {"rate": "5/s"}, "rate= is for calls outside a transaction"),
        ("a", {"at_most_once": True}, "at_most_once= is for calls outside a transaction"),
        ("a", {"atomic": False, "concurrency": 0}, "concurrency=0 is no whole number from 1 on"),
        ("a", {"atomic": False, "rate": "fast"}, "calls per second, minute or hour"),
        ("a", {"atomic": False, "rate": "0/s"}, "calls per second, minute or hour"),
        ("a", {"atomic": False, "rate": 5}, "calls per second, minute or hour"),
        ("a", {"atomic": False, "burst": 5}, "burst= is of a rate"),
        ("a", {"atomic": False, "at_most_once": True, "bulk": True}, "with neither bulk=True nor retry="),
        ("a", {"atomic": False, "at_most_once": True, "retry": Backoff()}, "with neither bulk=True nor retry="),
        ("a", {"overdue": "ignore"}, "overdue='ignore' is neither of"),
        ("a", {"deadline": timedelta(0)}, "is no timedelta greater than zero"),
        ("a", {"timeout": timedelta(seconds=-1)}, "is no timedelta greater than zero"),
        ("a", {"timeout": 5}, "timeout=5 is no timedelta greater than zero"),
        ("a", {"chunk": 0}, "chunk=0 is no whole number from 1 on"),
        ("a", {"chunk": True}, "chunk=True is no whole number from 1 on"),
        ("a", {"chunk": "5"}, "chunk='5' is no whole number from 1 on"),
        ("a", {"high_water": 0}, "high_water=0 is no whole number from 1 on"),
        ("a", {"atomic": "False"}, "atomic='False' is neither True nor False"),
        ("a", {"retry": 5}, "retry=5 is no outbox.Backoff"),
        ("a", {"sort": "x"}, "sort='x' is no function of a message"),
        (print, {}, "the topic comes first"),
        ("a", {"name": "with space"}, "words joined by dots, at most 100 characters"),
        ("a", {"name": "x" * 101}, "words joined by dots, at most 100 characters"),
        ("a", {"name": "control"}, "none of control, dead, receipts"),
        ("a", {"name": "dead"}, "none of control, dead, receipts"),
        ("a", {"chunk": 1000, "atomic": False}, "lower chunk or timeout"),
        ("a", {"timeout": timedelta(minutes=20), "chunk": 1}, "lower timeout"),
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


def test_an_async_function_is_no_consumer_inside_a_transaction():
    with pytest.raises(ConsumerError, match="no transaction is open across an await"):
        consumer("a", name="test.late")(later)

    assert registry.get("test.late") is None


@pytest.mark.parametrize("handler", [bit_by_bit, bit_by_bit_later])
def test_a_function_that_would_not_run_when_it_is_called_is_refused(handler):
    with pytest.raises(ConsumerError, match="would not run when it is called"):
        consumer("a", name="test.late")(handler)

    assert registry.get("test.late") is None


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        (lambda: None, "is called with one argument, the message: too many positional arguments"),
        (lambda message, *, more: None, "is called with one argument, the message: missing .*argument: 'more'"),
        (dict, "is no function"),
        ("name", "is no function"),
    ],
)
def test_what_cannot_be_called_with_a_message_is_refused(handler, error):
    with pytest.raises(ConsumerError, match=error):
        consumer("a", name="test.odd")(handler)

    assert registry.get("test.odd") is None


@pytest.mark.parametrize("option", ["on_handled", "on_discarded", "on_reopened", "on_withdrawn"])
@pytest.mark.parametrize(
    ("hook", "error"),
    [
        ("awards.follow", "is no plain function"),
        (later, "is no plain function"),
        (bit_by_bit, "would not run when it is called"),
        (lambda: None, "is called with one argument, a list of closings"),
    ],
    ids=["text", "async", "generator", "no argument"],
)
def test_a_hook_that_could_not_be_called_is_refused(option, hook, error):
    with pytest.raises(ConsumerError, match=error):
        consumer("a", name="test.a", **{option: hook})


def test_two_functions_cannot_have_one_name(listen):
    listen(handle, name="test.a")

    with pytest.raises(ConsumerError) as refused:
        consumer("test.other", name="test.a")(handle_too)

    assert str(refused.value) == (
        "two consumers are named 'test.a'; give one of them name=, or the first would stop existing: "
        f"'test.sold' in {__file__}, line {handle.__code__.co_firstlineno}, "
        f"and 'test.other' in {__file__}, line {handle_too.__code__.co_firstlineno}"
    )
    assert registry.get("test.a").handler is handle


TWO_OF_ONE_NAME = """
from outbox import consumer

@consumer("test.sold", name="test.a")
def act(message): pass

@consumer("test.other", name="test.a")
def act(message): pass
"""
TWICE_ON_ONE = """
from outbox import consumer

@consumer("test.other", name="test.b")
@consumer("test.sold", name="test.a")
def act(message): pass
"""


def run_module(source, path):
    """Import a module of that source as if from a file, each time compiled anew."""
    exec(compile(source, path, "exec"), {"__name__": "shop.consumers"})


@pytest.fixture
def _forgotten():
    yield
    registry.forget_consumer("test.a")
    registry.forget_consumer("test.b")


@pytest.mark.usefixtures("_forgotten")
def test_two_functions_of_one_name_in_a_module_are_refused_with_both_lines():
    with pytest.raises(
        ConsumerError, match=r"'test\.sold' in /shop\.py, line 4, and 'test\.other' in /shop\.py, line 7"
    ):
        run_module(TWO_OF_ONE_NAME, "/shop.py")


@pytest.mark.usefixtures("_forgotten")
def test_two_decorators_on_one_function_are_two_consumers_if_each_has_a_name():
    run_module(TWICE_ON_ONE, "/shop.py")

    assert (registry.get("test.a").pattern, registry.get("test.b").pattern) == ("test.sold", "test.other")


@pytest.mark.usefixtures("_forgotten")
def test_two_decorators_on_one_function_without_names_of_their_own_are_refused():
    with pytest.raises(ConsumerError, match=r"two consumers are named 'test\.a'"):
        run_module(TWICE_ON_ONE.replace("test.b", "test.a"), "/shop.py")


@pytest.mark.usefixtures("_forgotten")
def test_a_module_may_be_imported_again_as_by_a_reloader():
    run_module(TWICE_ON_ONE, "/shop.py")
    before = registry.get("test.a").handler

    run_module(TWICE_ON_ONE, "/shop.py")

    assert registry.get("test.a").handler is not before


def test_a_consumer_has_the_defaults_of_the_readme(listen):
    listen(handle, name="test.a")
    registry.forget_consumer("test.a")
    consumer("test.sold", name="test.a")(handle)

    entry = registry.get("test.a")

    assert (entry.retry, entry.atomic, entry.bulk) == (Backoff(limit=8), True, False)
    assert (entry.timeout, entry.deadline) == (timedelta(seconds=15), timedelta(days=7))
    assert (entry.chunk, entry.hint_limit) == (50, 50)
    assert (entry.lease, entry.time_limit) == (timedelta(seconds=10), timedelta(seconds=4 * 16 + 10))


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


def test_a_handler_without_a_name_of_its_own_needs_one():
    with pytest.raises(ConsumerError, match="has no name of its own; give its consumer name="):
        consumer("a")(partial(print))
