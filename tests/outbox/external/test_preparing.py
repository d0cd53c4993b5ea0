"""``prepare``: promised at once, published at the end of the block, and after an exception nobody knows."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from outbox import HalfTakenBack, KeyReused, commit_half, prepare, publish, take_back_half
from outbox.errors import InsideTransaction, InvalidMessage, OutsideTransaction, UnknownTopic
from outbox.models import Half, Message
from tests.shop.models import Stock, Tag

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")
MESSAGE = {"key": "order-1", "payload": {"total": 5}, "check": "test.check"}


@pytest.fixture(autouse=True)
def _ready(listen, checked):
    listen()
    checked(None)


def halves():
    return list(Half.objects.order_by("pk").values_list("state", "settled_by"))


def messages():
    return list(Message.objects.order_by("pk").values_list("topic", "key", "payload"))


def is_due():
    return Half.objects.due().exists()


def test_it_is_committed_at_once_and_no_consumer_sees_it():
    with prepare("test.sold", **MESSAGE):
        assert (halves(), messages()) == ([("open", "")], [])


def test_leaving_the_block_makes_it_the_message():
    with prepare("test.sold", headers={"trace": "7"}, **MESSAGE):
        pass

    assert (halves(), messages()) == ([("published", "producer")], [("test.sold", "order-1", {"total": 5})])
    assert Message.objects.get().headers == {"trace": "7"}


def test_after_an_exception_nobody_knows_and_the_check_is_asked_at_once():
    with pytest.raises(TimeoutError), prepare("test.sold", **MESSAGE):
        raise TimeoutError("the other side did not answer")

    assert (halves(), messages(), is_due()) == ([("open", "")], [], True)


def test_the_check_is_not_asked_before_the_producer_s_time_is_over():
    with prepare("test.sold", within=timedelta(hours=1), **MESSAGE):
        assert not is_due()
        assert Half.objects.filter(check_at__gt=Now() + timedelta(minutes=59)).exists()


def test_before_it_has_tried_to_write_the_producer_takes_it_back_unasked():
    with prepare("test.sold", **MESSAGE) as half:
        half.take_back()

    assert (halves(), messages()) == ([("taken_back", "producer")], [])


def test_taken_back_is_taken_back_although_an_exception_follows():
    def produce():
        with prepare("test.sold", **MESSAGE) as half:
            half.take_back()
            raise ValueError("the shop is closed")

    with pytest.raises(ValueError, match="closed"):
        produce()

    assert (halves(), is_due()) == ([("taken_back", "producer")], False)


def test_what_is_to_be_given_back_follows_in_the_same_transaction(listen):
    listen(topic="test.given_back", name="test.other")
    with prepare("test.sold", otherwise="test.given_back", **MESSAGE) as half:
        half.take_back()

    assert messages() == [("test.given_back", str(half.write_id), {"total": 5})]


def test_inside_a_transaction_it_is_refused():
    with (
        transaction.atomic(),
        pytest.raises(InsideTransaction, match="ATOMIC_REQUESTS"),
        prepare("test.sold", **MESSAGE),
    ):
        raise AssertionError("it was let in")

    assert halves() == []


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"check": "test.chekc"}, InvalidMessage),
        ({"within": timedelta(0)}, InvalidMessage),
        ({"within": 10}, InvalidMessage),
        ({"payload": {1, 2}}, InvalidMessage),
        ({"key": ""}, InvalidMessage),
        ({"headers": "x"}, InvalidMessage),
        ({"otherwise": "nobody.listens"}, UnknownTopic),
    ],
)
def test_what_could_not_be_published_is_refused_before_anything_is_written(wrong, error):
    with pytest.raises(error), prepare("test.sold", **{**MESSAGE, **wrong}):
        raise AssertionError("it was let in")

    assert halves() == []


def test_a_topic_that_nobody_listens_to_is_refused():
    with pytest.raises(UnknownTopic), prepare("nobody.listens", **MESSAGE):
        raise AssertionError("it was let in")


def test_in_one_transaction_with_rows_of_the_producer_s_own():
    with prepare("test.sold", **MESSAGE) as half, transaction.atomic():
        half.commit()
        Tag.objects.create(name="drawn")

    assert (halves(), len(messages())) == ([("published", "producer")], 1)


def test_rows_that_are_rolled_back_take_the_message_along():
    with prepare("test.sold", **MESSAGE) as half, transaction.atomic():
        half.commit()
        transaction.set_rollback(True)

    assert (halves(), messages(), is_due()) == ([("open", "")], [], True)


def test_once_it_is_taken_back_the_rows_cannot_be_committed():
    """A draw that waited for a lock for longer than the check did: its piece is given back, and it must not commit."""
    Stock.objects.create(pk=1, count=1)

    def draw():
        with prepare("test.sold", **MESSAGE) as half:
            assert take_back_half(half.write_id)
            with transaction.atomic():
                Stock.objects.update(count=F("count") - 1)
                half.commit()

    with pytest.raises(HalfTakenBack):
        draw()

    assert (Stock.objects.get().count, halves(), messages()) == (1, [("taken_back", "producer")], [])


def test_a_producer_that_comes_to_its_end_too_late_hears_of_it():
    with pytest.raises(HalfTakenBack, match="taken back before"), prepare("test.sold", **MESSAGE) as half:
        take_back_half(half.write_id)

    assert messages() == []


def test_a_check_that_was_faster_has_published_it_once():
    with prepare("test.sold", **MESSAGE) as half, transaction.atomic():
        commit_half(half.write_id)

    assert len(messages()) == 1


def test_what_is_a_message_cannot_be_taken_back():
    with prepare("test.sold", **MESSAGE) as half, transaction.atomic():
        half.commit()
        with pytest.raises(HalfTakenBack):
            half.take_back()

    assert not take_back_half(half.write_id)
    assert halves() == [("published", "producer")]


def test_another_process_may_settle_it_by_the_id_of_the_write():
    with pytest.raises(TimeoutError), prepare("test.sold", **MESSAGE) as half:
        raise TimeoutError
    with pytest.raises(OutsideTransaction):
        commit_half(half.write_id)
    with transaction.atomic():
        commit_half(str(half.write_id))

    assert (halves(), take_back_half(uuid4())) == ([("published", "producer")], False)
    with transaction.atomic(), pytest.raises(HalfTakenBack, match="there is no half message"):
        commit_half(uuid4())


def test_a_key_that_is_another_s_is_said_and_nothing_is_lost():
    with transaction.atomic():
        publish("test.sold", key="order-1", payload={"total": 6})
    with pytest.raises(KeyReused), prepare("test.sold", **MESSAGE):
        pass

    assert (halves(), is_due()) == ([("open", "")], True)


async def _in_async_code():
    with prepare("test.sold", **MESSAGE):
        raise AssertionError("it was let in")


def test_it_is_refused_in_async_code():
    import asyncio

    from django.core.exceptions import SynchronousOnlyOperation

    with pytest.raises(SynchronousOnlyOperation, match="sync_to_async"):
        asyncio.run(_in_async_code())
