"""How much is kept of what was said, and as which text: it can always be stored, and goes with its message."""

import tracemalloc
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from outbox.delivery import chunks
from outbox.maintenance import pruning
from outbox.models import Exchange, Message
from outbox.models.exchange import ATTEMPTS_KEPT
from outbox.models.said import EXCHANGES_KEPT, LENGTH, as_text
from tests.harness.messages import publish_message, publish_messages
from tests.outbox.delivery.talking import said, talk

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")


def test_who_records_nothing_is_asked_nothing_and_a_chunk_is_written_at_once(listen):
    listen(lambda _message: None, name="test.a")
    listen(talk, name="test.b")
    ids = publish_messages(10)

    def asked(consumer: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            chunks.deliver(consumer, [*Message.objects.filter(consumer=consumer).values_list("pk", flat=True)])
        return sum("outbox_exchange" in query["sql"] for query in captured.captured_queries)

    assert (asked("test.a"), asked("test.b")) == (0, 1)
    assert (len(ids), Exchange.objects.count()) == (20, 10)


def test_of_an_attempt_the_first_exchanges_are_kept_and_of_each_side_the_beginning(order):
    def talkative(message):
        for number in range(EXCHANGES_KEPT + 5):
            message.record_exchange(request=str(number), answer="x" * (LENGTH + 1))

    order(talkative)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert [request for _number, request, _answer in said(id)] == [str(n) for n in range(EXCHANGES_KEPT)]
    assert said(id)[0][2] == "x" * (LENGTH - 1) + "…"


def test_of_a_message_the_last_attempts_are_kept(listen):
    listen(talk)
    id = publish_message()
    Message.objects.update(attempts=ATTEMPTS_KEPT, attempt_limit=ATTEMPTS_KEPT + 3)
    for number in (1, 2):
        Exchange.objects.create(message_id=id, number=number, position=0)

    chunks.deliver("test.till", [id])

    assert [number for number, _asked, _heard in said(id)] == [2, ATTEMPTS_KEPT + 1]


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (None, ""),
        ("plain", "plain"),
        (b"by\xfftes", "by\ufffdtes"),
        ({"a": [1, None]}, '{"a": [1, null]}'),
        ("nul \0 and \ud800", "nul \\0 and \\ud800"),
        ({"at": timedelta(seconds=1)}, '{"at": "0:00:01"}'),
        ({("a", "b"): 1}, "(it cannot be written as text)"),
        ({"a": Unspeakable()}, "(it cannot be written as text)"),
    ],
)
def test_whatever_is_handed_over_becomes_a_text_that_can_be_stored(order, given, text):
    order(lambda message: message.record_exchange(request=given))
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert as_text(given) == text
    assert said(id) == [(1, text, "")]


@pytest.mark.parametrize("given", ["x" * 50_000_000, b"x" * 50_000_000])
def test_of_a_long_text_only_what_is_kept_is_looked_at(given):
    tracemalloc.start()
    try:
        text = as_text(given)
        _now, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(text) == LENGTH
    assert most < 1_000_000


def test_what_was_said_goes_with_its_message(listen):
    listen(talk)
    id = publish_message()
    chunks.deliver("test.till", [id])
    Message.objects.update(finished_at="2020-01-01T00:00Z")

    pruning.prune()

    assert not Exchange.objects.exists()
