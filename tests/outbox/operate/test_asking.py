"""Asking the other side: the answer is said and noted, and whatever the project's question does is one, too."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from outbox import consumer, operate, registry
from outbox.errors import Conflict, ConsumerError, NotAllowed
from outbox.models import AttemptOutcome, AuditEntry, Message
from outbox.operate import asking
from outbox.operate.asking import Answer, Known
from tests.harness.desk import ISSUE, TOPIC, user, wins
from tests.harness.rows import Rows, acts_done, attempt

pytestmark = pytest.mark.django_db(transaction=True)

ASKED = "desk.asked"
asked_rows = Rows(ASKED, topic=TOPIC, attempt_limit=3, payload={"street": "Elm"})


@pytest.fixture
def question() -> Iterator[Callable[[Callable[[Message], Any]], None]]:
    """Give the consumer a question."""

    def give(ask: Callable[[Message], Any]) -> None:
        registry.forget_consumer(ASKED)
        consumer(TOPIC, name=ASKED, atomic=False, ask=ask)(lambda _message: None)

    yield give
    registry.forget_consumer(ASKED)


def ask(message: Message) -> Answer:
    return operate.ask(message.pk, actor="ada")


async def ask_async(message: Message) -> str:
    return f"ORDER {message.key}"


def raise_a_timeout(_message: Message) -> str:
    raise TimeoutError("the vendor is away")


@pytest.mark.parametrize(
    ("asks", "answer"),
    [
        (lambda message: f" ORDER {message.key} ", Answer(Known.YES, "ORDER 7")),
        (ask_async, Answer(Known.YES, "ORDER 7")),
        (lambda message: None, Answer(Known.NO)),
        (raise_a_timeout, Answer(Known.NOT_ASKED, "TimeoutError: the vendor is away")),
    ],
)
def test_the_answer_is_told_and_noted_and_nothing_is_changed(question, asks, answer: Answer) -> None:
    question(asks)
    message = asked_rows.failed("7")

    assert ask(message) == answer

    [entry] = AuditEntry.objects.all()
    assert (entry.action, entry.actor, entry.message_id) == ("ask", "ada", message.pk)
    assert entry.after == {"known": answer.known.value, "said": answer.said}
    assert Message.objects.get().revision == 0


@pytest.mark.parametrize("what", [True, "", "  ", 17, b"ORDER", ["ORDER"]])
def test_what_is_neither_a_text_nor_none_is_no_answer(question, what: object) -> None:
    question(lambda message: what)

    assert ask(asked_rows.failed("7")).known is Known.NOT_ASKED


def test_a_question_without_an_end_keeps_nobody_waiting(question, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "PATIENCE_SECONDS", 0.2)
    hangs, let_go = threading.Event(), threading.Event()

    def hang(_message: Message) -> None:
        hangs.set()
        assert let_go.wait(10)

    question(hang)
    began = time.monotonic()
    answer = ask(asked_rows.failed("7"))

    assert hangs.is_set()
    assert answer.known is Known.NOT_ASKED
    assert time.monotonic() - began < 5
    let_go.set()


def test_nobody_waits_for_several_longer_than_for_one(question, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "PATIENCE_SECONDS", 0.5)
    let_go = threading.Event()
    question(lambda message: None if message.key == "0" else let_go.wait(30))
    messages = [asked_rows.failed(str(number)) for number in range(3 * asking.AT_ONCE)]

    began = time.monotonic()
    answers = list(asking.ask_about(messages, actor="ada").values())
    let_go.set()

    assert time.monotonic() - began < 5
    assert [answer.known for answer in answers] == [Known.NO, *[Known.NOT_ASKED] * (3 * asking.AT_ONCE - 1)]
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "outbox-ask")


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_whatever_a_question_raises_is_an_answer(question, error: type[BaseException]) -> None:
    def end(_message: Message) -> None:
        raise error("over")

    question(end)

    assert ask(asked_rows.failed("7")) == Answer(Known.NOT_ASKED, f"{error.__name__}: over")


def test_several_are_asked_beside_each_other_and_each_has_its_own_answer(question) -> None:
    beside = threading.Barrier(asking.AT_ONCE)

    def wait_for_the_others(message: Message) -> str | None:
        beside.wait(10)
        return None if message.key == "2" else message.key

    question(wait_for_the_others)
    messages = [asked_rows.failed(str(number)) for number in range(asking.AT_ONCE)]

    answers = asking.ask_about(messages, actor="ada")

    assert [answers[message.pk].said for message in messages] == ["0", "1", "", "3", "4"]
    assert AuditEntry.objects.count() == asking.AT_ONCE


@pytest.mark.services
def test_what_a_question_does_to_its_session_is_gone_before_the_next(question, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "AT_ONCE", 1)
    pids: list[int] = []

    def look(_message: Message) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pids.append(cursor.fetchone()[0])

    question(look)
    asking.ask_about([asked_rows.failed("7"), asked_rows.failed("8")], actor="ada")

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        assert len({*pids, cursor.fetchone()[0]}) == 3


def test_a_question_that_leaves_a_transaction_open_or_broken_harms_nobody(question) -> None:
    def break_it(_message: Message) -> None:
        transaction.set_autocommit(False)
        Message.objects.all().delete()

    question(break_it)
    message = asked_rows.failed("7")
    ask(message)

    assert Message.objects.filter(pk=message.pk).exists()


def test_without_a_question_or_the_permission_nothing_is_asked(question) -> None:
    with pytest.raises(NotAllowed, match="no question"):
        ask(wins.failed("7", consumer=ISSUE))
    question(lambda message: pytest.fail("it was asked"))
    with pytest.raises(NotAllowed, match="retry_message"):
        operate.ask(asked_rows.failed("7").pk, actor=user("viewer", "view_message"))

    assert not acts_done().exists()


@pytest.mark.parametrize("wrong", ["ask the vendor", object, lambda: None])
def test_a_question_that_is_none_is_refused_at_start_up(wrong: Any) -> None:
    with pytest.raises(ConsumerError):
        consumer(TOPIC, name=ASKED, atomic=False, ask=wrong)(lambda message: None)


def test_a_question_is_for_calls_outside_a_transaction() -> None:
    with pytest.raises(ConsumerError, match="atomic=False"):
        consumer(TOPIC, name=ASKED, ask=lambda message: None)(lambda message: None)


@pytest.mark.parametrize("wrong", ["amount", [""], [1], {"amount": 1}])
def test_locked_keys_that_are_none_are_refused_at_start_up(wrong: Any) -> None:
    with pytest.raises(ConsumerError, match="locked"):
        consumer(TOPIC, name=ASKED, locked=wrong)(lambda message: None)


def suspect(key: str = "7") -> Message:
    message = asked_rows.failed(key)
    attempt(message, outcome=AttemptOutcome.LOST)
    return message


def edit(message: Message) -> Message:
    return operate.edit(message.pk, revision=0, payload={"street": "Oak"}, actor="ada", reason="a typing error")


def test_an_edit_asks_and_keeps_the_key_if_the_other_side_knows_nothing(question) -> None:
    question(lambda message: None)
    message = suspect()

    assert edit(message).idempotency_key == message.idempotency_key


@pytest.mark.parametrize(
    ("asks", "said"), [(lambda message: "ORDER-77", "ORDER-77"), (raise_a_timeout, "could not be asked")]
)
def test_an_edit_is_refused_where_it_has_acted_or_cannot_be_asked(question, asks, said: str) -> None:
    question(asks)
    message = suspect()

    with pytest.raises(NotAllowed, match=said):
        edit(message)

    assert Message.objects.get().payload == {"street": "Elm"}


def test_not_even_a_new_order_is_sent_where_it_has_the_old_one(question) -> None:
    question(lambda message: "ORDER-77")
    message = suspect()

    with pytest.raises(NotAllowed, match="ORDER-77"):
        operate.edit(message.pk, revision=0, payload={"street": "Oak"}, actor="ada", reason="x", as_new_order=True)

    [entry] = acts_done()
    assert (entry.action, entry.after) == ("ask", {"known": "yes", "said": "ORDER-77"})


def test_a_new_order_is_sent_where_it_cannot_be_asked(question) -> None:
    question(raise_a_timeout)
    message = suspect()

    after = operate.edit(message.pk, revision=0, payload={"street": "Oak"}, actor="ada", reason="x", as_new_order=True)

    assert after.idempotency_key != message.idempotency_key
    assert list(AuditEntry.objects.order_by("id").values_list("action", flat=True)) == ["ask", "edit"]


def test_who_has_asked_is_not_told_as_who_was_faster(question) -> None:
    question(lambda message: None)
    message = asked_rows.failed("7")
    operate.retry(message.pk, revision=0, actor="bob", reason="again")
    ask(message)

    with pytest.raises(Conflict, match="bob retried"):
        operate.discard(message.pk, revision=0, actor="ada", reason="x")


def test_half_a_surrogate_of_the_vendor_s_is_written_out(question) -> None:
    question(lambda message: "ORDER \ud800")

    assert ask(asked_rows.failed("7")).said == "ORDER \\ud800"


def test_where_it_cannot_have_acted_it_is_not_asked(question) -> None:
    question(lambda message: pytest.fail("it was asked"))

    edit(asked_rows.failed("7"))


def test_from_a_shell(question, capsys: pytest.CaptureFixture[str]) -> None:
    question(lambda message: "ORDER-77" if message.key == "7" else None)
    first, second = asked_rows.failed("7"), asked_rows.failed("8")

    call_command("outbox_ask", first.pk, second.pk, actor="ada")

    said = capsys.readouterr().out.splitlines()
    assert said == [f"{first.pk}: it has ORDER-77", f"{second.pk}: it knows nothing of it"]
    question(raise_a_timeout)
    with pytest.raises(CommandError, match="1 of 1 could not be asked"):
        call_command("outbox_ask", first.pk, actor="ada", json=True)


def test_a_shell_asks_about_the_others_and_obeys_nothing_that_it_is_told(
    question, capsys: pytest.CaptureFixture[str]
) -> None:
    question(lambda message: "ORD\x1b[31m\n99: it has \u202e1")
    without, asked = wins.failed("7", consumer=ISSUE), asked_rows.failed("8")

    with pytest.raises(CommandError, match="1 of 2 could not be asked"):
        call_command("outbox_ask", without.pk, asked.pk, asked.pk, actor="ada")

    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{without.pk}: could not be asked: desk.issue has no question")
    assert second == f"{asked.pk}: it has ORD\\u001b[31m 99: it has \\u202e1"
