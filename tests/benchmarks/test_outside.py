"""What the part ``outside`` makes of the vendor's book, and that the vendor keeps it: a doubled call never counts."""

from collections import Counter

import pytest

from benchmarks import outside
from benchmarks.contestant import Contestant, RoundFailed
from benchmarks.measurements import Measurement
from benchmarks.usage import count_connections
from benchmarks.vendor.book import Book
from benchmarks.vendor.server import Shop, parse_request

ORDER = b'POST /orders HTTP/1.1\r\nHost: vendor\r\nidempotency-key: 17\r\nContent-Length: 4\r\n\r\n{"a"'


@pytest.fixture
def book():
    """Three keys: the second called twice, the third slow."""
    kept = Book()
    for key, called, answered in [("1", 10.0, 10.2), ("2", 10.1, 10.3), ("3", 10.2, 20.2), ("2", 11.4, 11.6)]:
        kept.note_call(key, called)
        kept.note_answer(key, answered)
    return kept


def contestant():
    made = Contestant.__new__(Contestant)
    made.plan = type("Plan", (), {"name": "theirs", "peer": "celery"})
    return made


def figures(*rates):
    calls = Measurement("outside", "any", "calls", "calls/s", list(rates))
    return {"calls": calls, "connections of a process": Measurement("outside", "any", "connections", "", [3.0])}


def test_the_book_has_doubles_and_the_time_from_the_first_call_to_the_last_answer(book):
    said = book.summary()

    assert (said["keys"], said["once"], said["doubles"]) == (3, 2, 1)
    assert said["seconds"] == pytest.approx(10.2)
    assert said["last_call"] == pytest.approx(1.4)
    assert book.progress() == {"calls": 4, "answered": 4}


def test_the_slow_key_is_no_part_of_what_is_said_of_the_others(book):
    said = book.summary(but="3")

    assert (said["keys"], said["once"]) == (2, 1)
    assert said["seconds"] == pytest.approx(1.6)


def test_calls_are_counted_by_the_second():
    kept = Book()
    for key, called in enumerate([5.0, 5.9, 7.5]):
        kept.note_call(str(key), called)

    assert kept.summary()["each_second"] == [2, 0, 1]


def test_a_call_without_an_answer_is_not_made_once():
    kept = Book()
    kept.note_call("1", 5.0)

    assert kept.summary()["once"] == 0


def test_an_empty_book_has_no_calls():
    said = Book().summary()

    assert (said["keys"], said["seconds"], said["each_second"]) == (0, 0.0, [])


def test_a_request_is_taken_from_the_input_when_all_of_it_is_there():
    request = parse_request(ORDER + b"POST /next")

    assert request == ("POST", "/orders", "17", b'{"a"', len(ORDER))


@pytest.mark.parametrize("length", [0, 10, len(ORDER) - 6, len(ORDER) - 1])
def test_a_part_of_a_request_is_none(length):
    assert parse_request(ORDER[:length]) is None


def test_one_key_may_be_slow():
    shop = Shop()
    shop.set_up(latency=0.2, slow_key="17", slow_latency=10.0)

    assert (shop.latency_of("17"), shop.latency_of("18")) == (10.0, 0.2)


def test_what_the_vendor_tells_of_its_book_leaves_the_slow_key_out(book):
    shop = Shop()
    shop.set_up(slow_key="3")
    shop.book = book

    assert shop.tell("/book")["keys"] == 2
    assert "keys" not in shop.tell("/progress")


@pytest.mark.parametrize(
    "said",
    [
        {"keys": 10, "once": 9, "doubles": 1},
        {"keys": 9, "once": 9, "doubles": 0},
        {"keys": 10, "once": 9, "doubles": 0},
    ],
)
def test_a_round_in_which_a_key_was_not_called_exactly_once_has_failed(said):
    with pytest.raises(RoundFailed, match="theirs: of 10 keys"):
        outside.check_called_once(contestant(), said, 10)


def test_a_round_in_which_each_key_was_called_once_has_a_rate():
    said = {"keys": 10, "once": 10, "doubles": 0, "seconds": 4.0}

    outside.check_called_once(contestant(), said, 10)

    assert outside.rate_of(said) == 2.5


def test_connections_are_those_whose_ports_the_database_knows():
    assert count_connections({7: [5001, 5002, 8080], 8: [5003], 9: []}, [5001, 5002, 5003, 6000]) == Counter(
        {7: 2, 8: 1}
    )


def test_only_at_200_ms_is_makegood_held_against_the_bare_loops_and_everywhere_against_its_peers():
    found = {plan.name: figures(400, 500) for plan in outside.BOUNDED}

    at_200_ms, at_2_s = ({ratio.name: ratio for ratio in outside.compare(found, speed)} for speed in ("200 ms", "2 s"))

    assert at_200_ms["200 ms: Makegood async over bare asyncio loop"].at_least == 0.8
    assert at_200_ms["200 ms: Makegood threads over bare thread pool"].at_least == 0.8
    assert at_2_s["2 s: Makegood async over bare asyncio loop"].at_least is None
    assert at_2_s["2 s: Makegood async over procrastinate async"].at_least == 0.98
    assert at_2_s["2 s: Makegood threads over Celery gevent"].at_least == 0.98
    assert at_2_s["2 s: Makegood async over Celery gevent"].at_least is None
    assert at_2_s["2 s: connections of a process, Makegood async"].at_most == 4
    assert at_2_s["2 s: connections of a process, Makegood threads"].at_most is None


def test_where_the_processors_set_the_limit_makegood_must_be_ahead():
    found = {plan.name: figures(400, 500) for plan in outside.BOUNDED}

    at_5_ms = {ratio.name: ratio for ratio in outside.compare(found, "5 ms")}

    assert at_5_ms["5 ms: Makegood threads over Celery gevent"].at_least == 1.0


def test_who_was_not_measured_is_not_compared():
    found = {plan.name: figures(400) for plan in outside.OF_PEERS}

    names = [ratio.name for ratio in outside.compare(found, "5 ms")]

    assert names == [
        "5 ms: Makegood async over procrastinate async",
        "5 ms: Makegood threads over Celery threads",
        "5 ms: Makegood threads over Celery gevent",
        "5 ms: Makegood async over Celery threads",
        "5 ms: Makegood async over Celery gevent",
        "5 ms: connections of a process, Makegood async",
        "5 ms: connections of a process, Makegood threads",
    ]
