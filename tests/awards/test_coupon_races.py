"""Codes taken at the same moment, in real threads on real connections, and by workers that die."""

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest
from django.db import connection, transaction

from awards.consumers import hand_out_coupon
from awards.models import Award, AwardStatus, Coupon
from awards.services import campaigns
from outbox import Message, Snooze
from outbox.delivery import chunks
from tests.awards.given import a_campaign, a_coupon_prize, a_draw, fill_pool, message_of

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "awards.hand_out_coupon"


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


def awards_of_one_prize(number: int, codes: int) -> list[Award]:
    campaign = a_campaign()
    a_coupon_prize(campaign, codes)
    return [a_draw(campaign, f"person {turn}").award for turn in range(number)]


def in_a_transaction(message: Message) -> None:
    with transaction.atomic():
        hand_out_coupon(message)


def test_eight_who_take_from_a_pool_of_five_get_five_codes_and_three_wait():
    awards = awards_of_one_prize(8, codes=5)
    messages = [message_of(award) for award in awards]

    ended = at_once(*[lambda message=message: in_a_transaction(message) for message in messages])

    assert sorted(type(end).__name__ for end in ended) == ["NoneType"] * 5 + ["Snooze"] * 3
    assert Coupon.objects.free().count() == 0
    assert Coupon.objects.values("award").distinct().count() == 5
    assert Award.objects.filter(status=AwardStatus.ISSUED).count() == 5


def test_the_last_code_goes_to_one_of_two_and_nobody_waits_for_the_other():
    first, second = awards_of_one_prize(2, codes=1)
    taken, asked = Event(), Event()

    def take_and_hold():
        with transaction.atomic():
            hand_out_coupon(message_of(first))
            taken.set()
            # On SQLite a second writer has to wait, and sees what was committed; there is nobody to wait for.
            return asked.wait(timeout=5 if connection.vendor == "postgresql" else 0.2)

    def ask_meanwhile():
        taken.wait(timeout=10)
        try:
            in_a_transaction(message_of(second))
        finally:
            asked.set()

    held, refused = at_once(take_and_hold, ask_meanwhile)

    assert isinstance(refused, Snooze)
    assert held is (connection.vendor == "postgresql")
    assert Coupon.objects.get().award_id == first.pk


def test_one_award_delivered_by_many_at_once_takes_one_code():
    (award,) = awards_of_one_prize(1, codes=5)
    id = message_of(award).pk

    at_once(*[lambda: chunks.deliver(NAME, [id])] * 5)

    assert list(Coupon.objects.filter(award__isnull=False).values_list("award_id", flat=True)) == [award.pk]
    assert message_of(award).status == "success"


def test_a_killed_worker_s_code_is_free_again():
    """A real process takes the code, and is killed before it can settle."""
    (award,) = awards_of_one_prize(1, codes=1)
    message = message_of(award)
    taken, told = os.pipe()

    child = os.fork()
    if not child:
        inherited, connection.connection = connection.connection, None  # kept: closing it would end our parent's
        with transaction.atomic():
            hand_out_coupon(message)
            os.write(told, b"taken" if inherited else b"")
            time.sleep(60)
    assert os.read(taken, 5) == b"taken"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    kept = Award.objects.get(pk=award.pk).status
    until = time.monotonic() + 10
    while Coupon.objects.free().exists() and time.monotonic() < until:
        chunks.deliver(NAME, [message.pk])
        Message.objects.filter(consumer=NAME).update(not_before=message.created_at)

    assert kept == AwardStatus.WON
    assert Coupon.objects.get().award_id == award.pk
    assert Award.objects.get(pk=award.pk).status == AwardStatus.ISSUED


def test_chunks_delivered_side_by_side_issue_every_code_once():
    awards = awards_of_one_prize(24, codes=20)
    ids = [message_of(award).pk for award in awards]

    at_once(*[lambda offset=offset: chunks.deliver(NAME, ids[offset::3]) for offset in range(3)])
    Message.objects.filter(consumer=NAME).update(not_before=message_of(awards[0]).created_at)
    chunks.deliver(NAME, ids)

    statuses = list(Message.objects.filter(consumer=NAME).values_list("status", flat=True))
    assert sorted(statuses) == ["pending"] * 4 + ["success"] * 20
    assert Coupon.objects.free().count() == 0


def test_a_code_that_is_withdrawn_while_it_is_handed_out_stays_with_its_award():
    awards = awards_of_one_prize(4, codes=4)
    messages = [message_of(award) for award in awards]

    at_once(
        *[lambda message=message: in_a_transaction(message) for message in messages],
        lambda: campaigns.withdraw_codes(Coupon.objects.all()),
    )

    codes = Coupon.objects.values_list("award_id", flat=True)
    assert None not in codes
    assert set(codes) == set(Award.objects.filter(status=AwardStatus.ISSUED).values_list("pk", flat=True))


def test_the_same_codes_uploaded_twice_at_once_are_added_once():
    campaign = a_campaign()
    prize = a_coupon_prize(campaign)
    codes = [f"CODE-{number}" for number in range(200)]

    ended = at_once(*[lambda: campaigns.add_codes(prize, codes)] * 2)

    assert sorted(type(end).__name__ for end in ended) == ["CodesKnown", "int"]
    assert Coupon.objects.count() == 200


def test_codes_are_added_while_codes_are_taken():
    awards = awards_of_one_prize(6, codes=3)
    messages = [message_of(award) for award in awards]

    at_once(
        *[lambda message=message: in_a_transaction(message) for message in messages],
        lambda: fill_pool(awards[0].prize, 3),
    )
    for message in messages:
        in_a_transaction(message)

    assert Coupon.objects.free().count() == 0
    assert Award.objects.filter(status=AwardStatus.ISSUED).count() == 6
