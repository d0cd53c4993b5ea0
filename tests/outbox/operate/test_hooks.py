"""An operator's act reaches the business in the same transaction, and the business may refuse it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction

from outbox import Closing, Reject, operate
from outbox.errors import Conflict, NotAllowed
from outbox.models import AuditEntry, HandledAs, Message
from outbox.operate import hooks, message_row
from tests.harness.closings import Declare, Hook, told
from tests.harness.rows import acts_done
from tests.harness.threads import held
from tests.shop.models import Stock

pytestmark = pytest.mark.django_db(transaction=True)


def handle(message: Message, actor: object, **changed: Any) -> Message:
    asked = {"reason": "by phone", "outcome": HandledAs.ISSUED, "evidence": "ORDER-77", **changed}
    return operate.mark_handled(message.pk, revision=message.revision, actor=actor, **asked)


def test_the_business_is_told_what_was_done_by_whom_and_what_proves_it(declare: Declare, lead: User) -> None:
    heard = declare()
    message = told.failed()

    handled = handle(message, lead)
    operate.reopen(message.pk, revision=handled.revision, actor=lead, reason="the wrong one")
    operate.discard(message.pk, revision=2, actor=lead, reason="a test")

    assert [(each.outcome, each.evidence, each.reason, each.actor) for each in heard] == [
        ("issued", "ORDER-77", "by phone", "lead"),
        ("issued", "ORDER-77", "the wrong one", "lead"),
        ("discarded", "", "a test", "lead"),
    ]
    assert [each.message.pk for each in heard] == [message.pk] * 3
    assert [each.message.status for each in heard] == ["failed", "success", "failed"]


def test_what_a_hook_writes_is_committed_with_the_act_and_taken_back_with_it(declare: Declare, lead: User) -> None:
    def write(closings: Sequence[Closing]) -> None:
        Stock.objects.create(count=closings[0].message.pk)
        if closings[0].evidence == "ORDER-78":
            raise Reject("that order is another's")

    declare(write)
    first, second = told.failed(), told.failed()

    handle(first, lead)
    with pytest.raises(NotAllowed):
        handle(second, lead, evidence="ORDER-78")

    assert list(Stock.objects.values_list("count", flat=True)) == [first.pk]
    second.refresh_from_db()
    assert (second.status, second.revision) == ("failed", 0)
    assert not AuditEntry.objects.filter(message_id=second.pk).exists()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Reject("the award was revoked"), "The business does not permit it: the award was revoked"),
        (KeyError("prize"), "The business does not permit it: KeyError: 'prize'"),
        (Reject("name: \u202egnissi\x00"), "The business does not permit it: name: \\u202egnissi\\0"),
        (Reject("line\nline"), "The business does not permit it: line line"),
        (Reject("x" * 5_000), f"The business does not permit it: {'x' * 499}…"),
    ],
    ids=["Reject", "a mistake", "what is not seen", "lines", "too long"],
)
def test_what_a_hook_raises_refuses_the_act_in_words_that_are_safe_to_show(
    declare: Declare, lead: User, error: Exception, said: str
) -> None:
    def refuse(_closings: Sequence[Closing]) -> None:
        raise error

    declare(refuse)
    message = told.failed()
    before = Message.objects.filter(pk=message.pk).values().get()

    with pytest.raises(NotAllowed) as refused:
        operate.discard(message.pk, revision=0, actor=lead, reason="a test")

    assert str(refused.value) == said
    assert Message.objects.filter(pk=message.pk).values().get() == before
    assert not acts_done().exists()


def _commit(_closings: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute("COMMIT")


def _roll_back(_closings: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ROLLBACK")


def _commit_and_begin(_closings: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute("COMMIT")
        cursor.execute("BEGIN")


def _commit_and_raise(_closings: object) -> None:
    _commit(None)
    raise Reject("and no")


def _enter_a_block(_closings: object) -> None:
    transaction.atomic().__enter__()


def _hide_an_error(_closings: object) -> None:
    with connection.cursor() as cursor:
        try:
            cursor.execute("SELECT nothing FROM nowhere")
        except DatabaseError:
            transaction.set_rollback(True)


def _ask_for_a_rollback(_closings: object) -> None:
    transaction.set_rollback(True)


def _close(_closings: object) -> None:
    connection.connection.close()
    connection.connection = None


async def _asynchronous(_closings: object) -> None:
    """Is never run."""


def _call_what_is_async(closings: object) -> object:
    return _asynchronous(closings)


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        (_commit, "ended the transaction"),
        (_roll_back, "ended the transaction"),
        (_commit_and_begin, "ended the transaction"),
        (_commit_and_raise, "ended the transaction"),
        (_close, "ended the transaction"),
        (_enter_a_block, "left a transaction.atomic() open"),
        (_hide_an_error, "hid a database error"),
        (_ask_for_a_rollback, "hid a database error"),
        (_call_what_is_async, "it is async"),
    ],
)
def test_a_hook_that_spoils_the_transaction_is_noticed_and_nothing_is_done(
    declare: Declare, lead: User, hook: Hook, said: str
) -> None:
    declare(hook)
    message = told.failed()
    before = Message.objects.filter(pk=message.pk).values().get()

    with pytest.raises(NotAllowed) as refused:
        handle(message, lead)

    assert said in str(refused.value)
    assert Message.objects.filter(pk=message.pk).values().get() == before
    assert not acts_done().exists()
    assert not connection.in_atomic_block


def test_hooks_of_a_commit_that_a_refused_hook_has_left_never_run(declare: Declare, lead: User) -> None:
    ran: list[str] = []

    def refuse(_closings: object) -> None:
        transaction.on_commit(lambda: ran.append("mail"))
        raise Reject("no")

    declare(refuse)

    with transaction.atomic(), pytest.raises(NotAllowed):
        handle(told.failed(), lead)

    assert ran == []


def test_without_a_way_back_nothing_is_reopened_and_the_desk_says_why(declare: Declare, lead: User) -> None:
    declare(on_discarded=lambda closings: None)
    message = told.failed()
    discarded = operate.discard(message.pk, revision=0, actor=lead, reason="a test")

    with pytest.raises(NotAllowed, match="on_reopened"):
        operate.reopen(message.pk, revision=discarded.revision, actor=lead, reason="a mistake")


def test_a_business_that_refuses_to_go_back_keeps_the_message_closed(declare: Declare, lead: User) -> None:
    def refuse_to_go_back(closings: Sequence[Closing]) -> None:
        if closings[0].message.resolution:
            raise Reject("the piece was won by somebody else")

    declare(refuse_to_go_back)
    message = told.failed()
    handled = handle(message, lead)

    with pytest.raises(NotAllowed, match="won by somebody else"):
        operate.reopen(message.pk, revision=handled.revision, actor=lead, reason="a mistake")

    message.refresh_from_db()
    assert (message.resolution, message.revision) == ("handled", 1)


def test_a_hook_that_changes_the_message_itself_is_overtaken_by_its_own_change(declare: Declare, lead: User) -> None:
    declare(lambda closings: Message.objects.filter(pk=closings[0].message.pk).update(revision=9))
    message = told.failed()

    with pytest.raises(Conflict):
        handle(message, lead)

    message.refresh_from_db()
    assert (message.status, message.revision) == ("failed", 0)


def test_a_message_changed_while_it_is_being_locked_is_a_conflict_and_the_business_is_not_told(
    declare: Declare, lead: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = declare()
    message = told.failed()

    @contextmanager
    def somebody_is_faster() -> Iterator[None]:
        Message.objects.filter(pk=message.pk).update(revision=1)
        yield

    monkeypatch.setattr(message_row, "waiting_briefly", somebody_is_faster)

    with pytest.raises(Conflict):
        handle(message, lead)

    assert heard == []


@pytest.mark.services
def test_a_hook_that_meets_another_s_lock_is_done_again_and_then_says_that_others_are_at_work(
    declare: Declare, lead: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []
    stock = Stock.objects.create()

    def take(closings: Sequence[Closing]) -> None:
        tries.append(closings[0].message.pk)
        Stock.objects.select_for_update().get(pk=stock.pk)

    declare(take)
    monkeypatch.setattr(hooks, "LOCK_WAIT", hooks.LOCK_WAIT / 20)
    message = told.failed()

    with (
        held(Stock.objects.select_for_update().filter(pk=stock.pk)),
        pytest.raises(Conflict, match="Others are at work"),
    ):
        handle(message, lead)
    assert tries == [message.pk] * 3

    handle(message, lead)

    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("0",)
