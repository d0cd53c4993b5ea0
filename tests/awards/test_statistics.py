"""Counting what was won: by a consumer of its own, in chunks, and exactly once."""

import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from threading import Barrier

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from awards.consumers import count_win
from awards.models import Award, DailyStatistic
from awards.services import statistics
from awards.services.revoking import revoke
from outbox import Message
from outbox.delivery import chunks
from tests.awards.given import a_campaign, a_draw, an_award_of_points, message_of, points

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "awards.count_win"


def counted() -> dict[str, tuple[int, Decimal]]:
    """Return what the statistics hold: how many and what value, by the prize's name."""
    rows = DailyStatistic.objects.values_list("prize__name", "won", "value")
    totals: dict[str, tuple[int, Decimal]] = {}
    for name, won, value in rows:
        before = totals.get(name, (0, Decimal(0)))
        totals[name] = (before[0] + won, before[1] + value)
    return totals


def awards_of(*values: int) -> list[Award]:
    """Return an award of points for each value, all in one campaign."""
    campaign = a_campaign(str(uuid.uuid4()))
    prizes = {value: points(campaign, value, weight=1) for value in set(values)}
    awards = []
    for value in values:
        for prize in prizes.values():
            prize.weight = int(prize.value == value)
            prize.save(update_fields=["weight"])
        awards.append(a_draw(campaign).award)
    return awards


def ids_of(awards: list[Award]) -> list[int]:
    return [message_of(award, NAME).pk for award in awards]


def test_a_chunk_is_counted_by_prize():
    awards = awards_of(10, 10, 50, 10)

    chunks.deliver(NAME, ids_of(awards))

    assert counted() == {"10 points": (3, Decimal(30)), "50 points": (1, Decimal(50))}
    assert {message_of(award, NAME).status for award in awards} == {"success"}


def test_a_chunk_takes_one_statement_for_each_prize_of_a_day_once_its_row_is_there():
    first, *awards = awards_of(10, 10, 10, 10, 50, 50)
    messages = [message_of(award, NAME) for award in awards]
    statistics.count_wins([first, awards[-1]])

    with CaptureQueriesContext(connection) as statements:
        count_win(messages)

    assert [statement["sql"].split()[0] for statement in statements] == ["SELECT", "UPDATE", "UPDATE"]


def test_what_is_delivered_again_is_counted_once():
    awards = awards_of(10, 10)
    for _ in range(3):
        chunks.deliver(NAME, ids_of(awards))

    assert counted() == {"10 points": (2, Decimal(20))}


def test_a_message_about_no_award_is_rejected_and_the_rest_of_its_chunk_is_counted_once():
    awards = awards_of(10, 10, 10)
    ids = ids_of(awards)
    Message.objects.filter(pk=ids[1]).update(key="999999")

    chunks.deliver(NAME, ids)

    assert counted() == {"10 points": (2, Decimal(20))}
    statuses = dict(Message.objects.filter(pk__in=ids).values_list("pk", "status"))
    assert statuses == {ids[0]: "success", ids[1]: "failed", ids[2]: "success"}


def test_a_worker_that_dies_before_it_settles_has_counted_nothing(monkeypatch):
    awards = awards_of(10, 10)
    ids = ids_of(awards)

    class Killed(BaseException):
        """Nothing catches it."""

    def dies(*args):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("outbox.delivery.settling.settle", dies)
        with pytest.raises(Killed):
            chunks.deliver(NAME, ids)
    nothing = counted()
    Message.objects.filter(pk__in=ids).update(status="pending", lease_until=None)
    chunks.deliver(NAME, ids)

    assert nothing == {}
    assert counted() == {"10 points": (2, Decimal(20))}


def test_chunks_counted_side_by_side_add_up():
    awards = awards_of(*[10, 50, 500] * 8)
    ids = ids_of(awards)
    barrier = Barrier(3)

    def deliver(offset):
        try:
            barrier.wait(timeout=10)
            chunks.deliver(NAME, ids[offset::3][::-1])
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(deliver, range(3)))
    chunks.deliver(NAME, ids)

    assert {name: won for name, (won, _value) in counted().items()} == dict.fromkeys(counted(), 8)
    assert set(Message.objects.filter(pk__in=ids).values_list("status", flat=True)) == {"success"}


def test_a_win_counts_for_the_day_on_which_it_was_won_where_the_site_is(settings):
    settings.TIME_ZONE = "Asia/Shanghai"
    award = an_award_of_points()
    Award.objects.update(won_at=datetime(2026, 5, 1, 17, 0, tzinfo=UTC))

    chunks.deliver(NAME, [message_of(award, NAME).pk])

    assert DailyStatistic.objects.get().day == date(2026, 5, 2)


def test_a_revoked_award_is_counted_as_taken_back_on_the_day_it_was_won():
    award = an_award_of_points()
    chunks.deliver(NAME, [message_of(award, NAME).pk])

    revoke(award, actor="ada")

    row = DailyStatistic.objects.get()
    assert (row.won, row.revoked, row.value) == (1, 1, Decimal(50))


def test_counting_is_a_row_of_its_own_and_says_nothing_about_the_issue():
    award = an_award_of_points()

    chunks.deliver(NAME, [message_of(award, NAME).pk])

    assert message_of(award).status == "pending"
    assert message_of(award, "awards.tell_winner").status == "pending"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.sampled_from([10, 50, 500]), min_size=1, max_size=4), max_size=4), st.data())
def test_however_awards_are_split_into_chunks_and_repeated_the_sum_is_theirs(sizes, data):
    flat = [value for chunk in sizes for value in chunk]
    turns = data.draw(st.permutations(range(len(flat))))
    DailyStatistic.objects.all().delete()
    Message.objects.all().delete()
    ids = ids_of(awards_of(*flat)) if flat else []
    order = [ids[turn] for turn in turns]

    for start in range(0, len(order), 3):
        chunks.deliver(NAME, order[start : start + 3])
    chunks.deliver(NAME, order)

    assert {name: won for name, (won, _value) in counted().items()} == {
        f"{value} points": number for value, number in Counter(flat).items()
    }
