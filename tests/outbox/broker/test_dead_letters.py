"""Dead letters are read without being taken away, whatever is in them; those that were discarded are taken off."""

import json

import pytest
from amqp import Message as Letter
from django.core.management import call_command
from hypothesis import given
from hypothesis import strategies as st

from outbox.broker import dead_letters
from outbox.broker.dead_letters import IDS_SHOWN, copy_of, read_letter
from outbox.broker.queues import DELIVER_TASK, dead_letter_queue, queue_name
from outbox.maintenance.dead_letters import follow
from outbox.models import DeadLetter
from outbox.operate import discard_letters
from tests.harness.program import eventually

QUEUE = "outbox.test.till"


class Got:
    """A letter as ``basic_get`` gives it."""

    def __init__(self, body, **properties):
        self.body, self.properties = body, properties


def hint(ids, consumer="test.till") -> str:
    return json.dumps([[consumer, ids], {}, {"callbacks": None}])


def headers(**more):
    return {"task": DELIVER_TASK, "x-first-death-queue": QUEUE, "x-first-death-reason": "delivery_limit", **more}


@pytest.fixture
def bury(rabbit):
    """Return a function that puts a letter into the queue of dead letters."""
    dead_letter_queue()(rabbit).declare()

    def put(body, **properties):
        before = waiting(rabbit)
        rabbit.basic_publish(Letter(body, **properties), routing_key=queue_name("dead"))
        eventually(lambda: waiting(rabbit) == before + 1, within=10, what="the letter is there")

    return put


def waiting(rabbit) -> int:
    return rabbit.queue_declare(queue_name("dead"), passive=True).message_count


def test_a_letter_says_when_from_where_why_and_which_rows_its_hint_named():
    read = read_letter(Got(hint([17, 18]), correlation_id="t1", application_headers=headers()))

    assert (read.queue, read.reason, read.task_id) == (QUEUE, "delivery_limit", "t1")
    assert (read.consumer, read.ids, read.text) == ("test.till", (17, 18), "")


@pytest.mark.parametrize(
    "body",
    ["", "hint", "[" * 100_000, "[[1, 2]]", '[["test.till", 7]]', b"\xff\x00", json.dumps({"a": 1}), "[[[], []]]"],
)
def test_what_is_no_hint_is_shown_as_text(body):
    read = read_letter(Got(body, application_headers=headers()))

    assert (read.consumer, read.ids) == ("", ())
    assert "\0" not in read.text
    assert len(read.text) <= 2_000


def test_of_many_rows_the_first_are_kept_and_what_is_no_id_is_left_out():
    read = read_letter(Got(hint([-1, "x", True, 2**70, *range(1, 300)]), application_headers=headers()))

    assert read.ids == tuple(range(1, IDS_SHOWN + 1))


@given(
    st.dictionaries(
        st.sampled_from(["task", "x-death", "x-first-death-queue", "x-first-death-reason", "x-delivery-count"]),
        st.one_of(st.none(), st.integers(), st.text(), st.lists(st.dictionaries(st.text(), st.text()))),
    ),
    st.binary(),
)
def test_whatever_its_headers_are_it_is_read(given_headers, body):
    letter = Got(body, application_headers=given_headers)

    assert len(read_letter(letter).digest) == 64
    assert read_letter(letter) == read_letter(copy_of(letter))


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_letters_are_noted_stay_in_their_queue_and_go_when_they_are_discarded(link, rabbit, bury):
    bury(hint([17]), correlation_id="a", application_headers=headers())
    bury(hint([18]), correlation_id="b", application_headers=headers())
    link.depth("test.till")

    follow(link)

    assert sorted(DeadLetter.objects.values_list("ids", flat=True)) == [[17], [18]]
    assert eventually(lambda: waiting(rabbit) == 2, within=5)

    discard_letters([DeadLetter.objects.get(ids=[17]).pk], actor="anna", reason="seen to")
    follow(link)

    assert list(DeadLetter.objects.values_list("ids", flat=True)) == [[18]]
    assert eventually(lambda: waiting(rabbit) == 1, within=5)


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_what_others_took_off_is_not_shown_any_more(link, rabbit, bury):
    bury(hint([17]), application_headers=headers())
    link.depth("test.till")
    follow(link)
    assert DeadLetter.objects.count() == 1

    rabbit.queue_purge(queue_name("dead"))
    follow(link)

    assert DeadLetter.objects.count() == 0


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_a_letter_that_another_rescan_holds_just_then_keeps_that_it_was_discarded(link, rabbit, bury):
    bury(hint([17]), application_headers=headers())
    bury(hint([18]), application_headers=headers())
    link.depth("test.till")
    follow(link)
    held = eventually(lambda: rabbit.basic_get(queue_name("dead")), within=5)
    ids = read_letter(held).ids
    discard_letters([DeadLetter.objects.get(ids=list(ids)).pk], actor="anna", reason="seen to")

    follow(link)
    rabbit.basic_reject(held.delivery_tag, requeue=True)
    eventually(lambda: waiting(rabbit) == 2, within=5)
    follow(link)

    assert eventually(lambda: waiting(rabbit) == 1, within=5)
    assert list(DeadLetter.objects.shown().values_list("ids", flat=True)) == [[35 - ids[0]]]


@pytest.mark.services
def test_a_letter_that_was_read_too_often_for_rabbitmq_is_put_back_as_a_copy(link, rabbit, bury, monkeypatch):
    monkeypatch.setattr(dead_letters, "TOO_OFTEN", 2)
    bury(hint([17]), correlation_id="a", application_headers=headers())
    link.depth("test.till")

    read = []
    for _time in range(5):
        read.append(link.read_dead_letters(discarded=["nothing that is there"]))
        eventually(lambda: waiting(rabbit) == 1, within=5)

    assert {letter.ids for one in read for letter in one.kept} == {(17,)}
    assert len({letter.digest for one in read for letter in one.kept}) == 1
    letter = rabbit.basic_get(queue_name("dead"))
    assert letter.properties["application_headers"].get("x-delivery-count", 0) <= 2
    assert letter.properties["correlation_id"] == "a"


@pytest.mark.django_db(transaction=True)
def test_the_audit_has_what_was_discarded_and_verifies(capsys):
    letter = DeadLetter.objects.create(digest="d" * 64, queue=QUEUE, reason="delivery_limit", ids=[17])

    assert discard_letters([letter.pk], actor="anna", reason="seen to") == 1

    letter.refresh_from_db()
    assert (letter.discarded_by, letter.discarded_at is not None) == ("anna", True)
    call_command("outbox_audit", json=True)
    assert '"ids": [17]' in capsys.readouterr().out
