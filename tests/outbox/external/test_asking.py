"""What checks say, and what follows: foreign code that may say anything, or nothing."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from outbox import Unavailable, check_back, prepare, publish, registry
from outbox.errors import ConsumerError
from outbox.external.halves import asking, check_backs, running
from outbox.models import Half, HalfAnswer, Message
from tests.harness.program import eventually

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")


@pytest.fixture(autouse=True)
def _ready(listen):
    listen()


def prepared(key="order-1", **options):
    """A half message whose producer has died in its block."""
    with pytest.raises(TimeoutError), prepare("test.sold", key=key, payload={}, check="test.check", **options) as half:
        raise TimeoutError
    return Half.objects.get(write_id=half.write_id)


def ask_now():
    """Ask all that are open, whatever they wait for, in this thread."""
    Half.objects.filter(state="open").update(check_at=Now())
    claimed = asking.claim(100)
    asking.ask_all(claimed)
    return len(claimed)


def state(half):
    return Half.objects.values_list("state", "settled_by").get(pk=half.pk)


def said(half):
    return list(HalfAnswer.objects.filter(half=half).order_by("number").values_list("said", flat=True))


def waits(half):
    return Half.objects.annotate(wait=F("check_at") - Now()).get(pk=half.pk).wait.total_seconds()


def test_true_publishes_it(checked):
    check = checked(True)
    half = prepared()

    ask_now()

    assert (state(half), said(half), Message.objects.count()) == (("published", "check"), ["yes"], 1)
    assert [(asked.key, asked.write_id) for asked in check.asked] == [("order-1", half.write_id)]


def test_false_takes_it_back_with_what_follows_from_that(checked, listen):
    checked(False)
    listen(topic="test.given_back", name="test.other")
    half = prepared(otherwise="test.given_back")

    ask_now()

    assert (state(half), said(half)) == (("taken_back", "check"), ["no"])
    assert list(Message.objects.values_list("topic", "key")) == [("test.given_back", str(half.write_id))]


def test_while_it_is_not_known_it_is_asked_again_with_growing_waits_and_then_a_person(checked):
    checked(None)
    half, seen = prepared(), []
    for _ in range(2):
        ask_now()
        seen.append(round(waits(half)))
    ask_now()

    assert (seen, said(half), state(half)) == ([10, 20], ["not_yet"] * 3, ("unknown", ""))
    assert ask_now() == 0


@pytest.mark.parametrize(
    ("answer", "as_said", "detail"),
    [
        (ValueError("no such table"), "error", "ValueError: no such table"),
        (SystemExit(1), "error", "SystemExit: 1"),
        (1, "wrong", "1"),
        ("yes", "wrong", "'yes'"),
        (0, "wrong", "0"),
    ],
)
def test_an_answer_that_is_none_changes_nothing_and_counts(answer, as_said, detail, checked):
    checked(answer)
    half = prepared()

    ask_now()

    assert (state(half), said(half), Half.objects.get().fruitless) == (("open", ""), [as_said], 1)
    assert HalfAnswer.objects.get().detail == detail


def test_the_other_side_may_be_down_for_as_long_as_it_likes(checked):
    checked(*[Unavailable("down")] * 9, True)
    half = prepared()
    for _ in range(9):
        ask_now()
    assert (state(half), Half.objects.get().fruitless) == (("open", ""), 0)

    ask_now()

    assert state(half) == ("published", "check")


def test_a_check_that_hangs_is_given_up_counted_and_asked_again(checked):
    go_on = threading.Event()
    checked(lambda: go_on.wait(20) and None, True, timeout=timedelta(seconds=0.3))
    half = prepared()
    try:
        assert running.go_on() == 1
        assert running.go_on() == 0
        eventually(lambda: running.go_on() == 0 and said(half) == ["silent"], within=5)
        assert Half.objects.get().fruitless == 1
        Half.objects.update(check_at=Now())
        eventually(lambda: running.go_on() == 0 and state(half) == ("published", "check"), within=5)
        assert said(half) == ["silent", "yes"]
    finally:
        go_on.set()
    eventually(lambda: said(half) == ["late", "yes"], within=5)
    assert state(half) == ("published", "check")


def test_an_answer_that_comes_too_late_changes_nothing(checked):
    checked(False)
    half = prepared()
    [asked] = asking.claim(1)
    Half.objects.update(check_at=Now())
    asking.claim(1)
    Half.objects.update(check_at=Now())
    [again] = asking.claim(1)

    asking.ask_all([asked])

    assert (state(half), said(half)) == (("open", ""), ["late", "asked"])
    asking.ask_all([again])
    assert state(half) == ("taken_back", "check")


def test_a_check_that_answers_after_the_producer_has_settled_changes_nothing(checked):
    checked(False)
    with prepare("test.sold", key="1", payload={}, check="test.check", within=timedelta(seconds=0.01)) as half:
        Half.objects.update(check_at=Now())
        [asked] = asking.claim(1)

    asking.ask_all([asked])

    row = Half.objects.get(write_id=half.write_id)
    assert (state(row), said(row), Message.objects.count()) == (("published", "producer"), ["late"], 1)


def test_what_cannot_be_published_is_said_and_asked_again(checked):
    checked(True)
    half = prepared()
    with transaction.atomic():
        publish("test.sold", key="order-1", payload={"another": "payload"})

    ask_now()

    assert (state(half), said(half)) == (("open", ""), ["refused"])
    assert "KeyReused" in HalfAnswer.objects.get().detail


def test_a_check_that_the_code_lacks_counts_and_becomes_a_person_s(checked):
    checked(True)
    half = prepared()
    check_backs.forget_check("test.check")
    Half.objects.update(fruitless=14)
    ask_now()
    assert (state(half), said(half)) == (("open", ""), ["missing"])

    ask_now()

    assert (state(half), said(half)) == (("unknown", ""), ["missing", "missing"])


def test_what_another_process_is_asking_about_is_left_to_it(checked):
    check = checked(None)
    prepared()
    Half.objects.update(check_at=Now() - timedelta(seconds=1))

    assert (len(asking.claim(5)), len(asking.claim(5))) == (1, 0)
    assert check.asked == []


def test_a_process_asks_only_so_many_at_once(checked, monkeypatch):
    go_on = threading.Event()
    checked(lambda: go_on.wait(20) and None, timeout=timedelta(seconds=20))
    for number in range(running.AT_ONCE + 1):
        prepared(f"order-{number}")
    monkeypatch.setattr(running, "_places", running._Places())

    try:
        assert (running.go_on(), running.go_on()) == (running.AT_ONCE, 0)
    finally:
        go_on.set()
    eventually(lambda: not HalfAnswer.objects.filter(said="asked").exists(), within=10)
    assert running.go_on() == 1
    eventually(lambda: not HalfAnswer.objects.filter(said="asked").exists(), within=10)


def test_a_transaction_that_a_check_leaves_open_does_no_harm(checked):
    def leave_open():
        transaction.set_autocommit(False)
        Message.objects.count()
        return True

    checked(leave_open)
    half = prepared()

    running.go_on()

    eventually(lambda: state(half) == ("published", "check"), within=10)
    assert connection.get_autocommit()


def test_a_coroutine_function_is_awaited():
    async def knows(_half):
        return True

    check_back("test.check")(knows)
    try:
        half = prepared()
        running.go_on()
        eventually(lambda: state(half) == ("published", "check"), within=10)
    finally:
        check_backs.forget_check("test.check")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("", {}),
        ("with space", {}),
        ("x" * 101, {}),
        ("test.check", {"timeout": 5}),
        ("test.check", {"timeout": timedelta(hours=1)}),
        ("test.check", {"retry": 3}),
    ],
)
def test_a_check_that_is_declared_wrongly_is_refused(name, options):
    with pytest.raises(ConsumerError):
        check_back(name, **options)


def test_two_checks_of_one_name_are_refused(checked):
    checked(True)

    with pytest.raises(ConsumerError, match="two checks are named"):
        check_back("test.check")(lambda half: True)


def test_nothing_due_is_one_query(checked, django_assert_num_queries):
    checked(True)
    prepared()
    Half.objects.update(check_at=Now() + timedelta(hours=1))

    with django_assert_num_queries(1):
        assert running.go_on() == 0


def test_a_worker_asks_where_nobody_else_does(checked):
    checked(True)
    half = prepared()

    assert running.go_on_if_overdue()
    eventually(lambda: state(half) == ("published", "check"), within=10)
    assert not running.go_on_if_overdue()
    assert registry.get("test.till") is not None
