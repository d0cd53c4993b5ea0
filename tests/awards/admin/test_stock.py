"""Changing a stock while people draw: an act, never an overwriting, and each request once."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from awards.errors import ManagingError, SoldOut, StockHasALimit, StockHasNoLimit, StockTooLarge, StockTooSmall
from awards.models import Award, Prize, StockAct, StockChange
from awards.services.campaigns import StockChangeRequest, change_stock
from tests.awards.given import a_campaign, a_draw, a_gift

pytestmark = pytest.mark.django_db(transaction=True)


def request_to(act: StockAct, pieces: int | None = None, request_id: uuid.UUID | None = None) -> StockChangeRequest:
    return StockChangeRequest(act=act, pieces=pieces, reason="more came in", request_id=request_id or uuid.uuid4())


def change(prize: Prize, act: StockAct, pieces: int | None = None) -> StockChange:
    return change_stock(prize, request_to(act, pieces), actor="maria")


def stock_of(prize: Prize) -> int | None:
    return Prize.objects.get(pk=prize.pk).stock


def at_once(*calls: Callable[[], object]) -> list[object]:
    """Start all calls at the same moment; return what each returned or raised."""
    barrier = Barrier(len(calls))

    def run(call):
        try:
            barrier.wait(timeout=10)
            return call()
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_a_change_is_written_down_with_who_and_why():
    prize = a_gift(a_campaign(), stock=5)

    change(prize, StockAct.ADD, 3)

    written = StockChange.objects.get()
    assert stock_of(prize) == 8
    assert (written.prize, written.act, written.pieces) == (prize, "add", 3)
    assert (written.actor, written.reason) == ("maria", "more came in")


def test_a_stock_that_was_read_before_others_drew_is_not_written_back():
    campaign = a_campaign()
    prize = a_gift(campaign, stock=5)
    for _ in range(3):
        a_draw(campaign)

    change(prize, StockAct.ADD, 10)
    change(prize, StockAct.REMOVE, 1)

    assert prize.stock == 5
    assert stock_of(prize) == 11


@pytest.mark.parametrize(
    ("stock", "act", "pieces", "refusal"),
    [
        (2, StockAct.REMOVE, 3, StockTooSmall),
        (0, StockAct.REMOVE, 1, StockTooSmall),
        (2**31 - 2, StockAct.ADD, 2, StockTooLarge),
        (None, StockAct.ADD, 1, StockHasNoLimit),
        (None, StockAct.REMOVE, 1, StockHasNoLimit),
        (None, StockAct.UNLIMIT, None, StockHasNoLimit),
        (0, StockAct.LIMIT, 5, StockHasALimit),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(stock, act, pieces, refusal):
    prize = a_gift(a_campaign(), stock=stock)

    with pytest.raises(refusal):
        change(prize, act, pieces)

    assert stock_of(prize) == stock
    assert not StockChange.objects.exists()


def test_a_limit_can_be_set_and_taken_off():
    prize = a_gift(a_campaign(), stock=None)

    change(prize, StockAct.LIMIT, 0)
    limited = stock_of(prize)
    change(prize, StockAct.UNLIMIT)

    assert (limited, stock_of(prize)) == (0, None)


def test_a_request_sent_twice_changes_the_stock_once():
    prize = a_gift(a_campaign(), stock=5)
    twice = request_to(StockAct.REMOVE, 5)

    first = change_stock(prize, twice, actor="maria")
    second = change_stock(prize, twice, actor="maria")

    assert first == second
    assert stock_of(prize) == 0


def test_a_request_sent_many_times_at_once_changes_the_stock_once():
    prize = a_gift(a_campaign(), stock=5)
    same = request_to(StockAct.REMOVE, 5)

    answers = at_once(*[lambda: change_stock(prize, same, actor="maria")] * 5)

    assert [type(answer) for answer in answers] == [StockChange] * 5
    assert stock_of(prize) == 0
    assert StockChange.objects.count() == 1


def test_stock_added_and_removed_while_people_draw_adds_up():
    campaign = a_campaign()
    prize = a_gift(campaign, stock=6)

    def draw_four():
        for _ in range(4):
            a_draw(campaign)

    def change_often():
        for pieces in (5, 3):
            change(prize, StockAct.ADD, pieces)
        change(prize, StockAct.REMOVE, 2)

    ended = at_once(draw_four, draw_four, change_often)

    drawn = Award.objects.count()
    added = sum(change.pieces * (1 if change.act == "add" else -1) for change in StockChange.objects.all())
    assert stock_of(prize) == 6 + added - drawn
    assert all(end is None or isinstance(end, SoldOut | StockTooSmall) for end in ended)


acts = st.one_of(
    st.tuples(st.just("draw"), st.none()),
    st.tuples(st.sampled_from([StockAct.ADD, StockAct.REMOVE]), st.integers(1, 4)),
    st.tuples(st.just(StockAct.LIMIT), st.integers(0, 4)),
    st.tuples(st.just(StockAct.UNLIMIT), st.none()),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.none() | st.integers(0, 3), st.lists(acts, max_size=8))
def test_whatever_is_done_the_stock_is_what_was_given_less_what_was_drawn(start, steps):
    campaign = a_campaign(str(uuid.uuid4()))
    prize = a_gift(campaign, stock=start)
    expected = start

    for act, pieces in steps:
        try:
            if act == "draw":
                a_draw(campaign)
            else:
                change(prize, act, pieces)
        except (SoldOut, ManagingError):
            continue
        match act:
            case "draw":
                expected = None if expected is None else expected - 1
            case StockAct.ADD | StockAct.REMOVE:
                expected += pieces if act is StockAct.ADD else -pieces
            case _:
                expected = pieces

    assert stock_of(prize) == expected
    assert expected is None or expected >= 0
