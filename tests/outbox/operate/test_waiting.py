"""What an operator does to a message that waits: withdraw it, or make it due now; one, or many of a consumer."""

import json

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models.functions import Now

from outbox import Closing, Reject, operate
from outbox.errors import Conflict, NotAllowed
from outbox.models import AuditEntry, Message
from outbox.operate import hurrying, pacing
from tests.harness.clock import HOUR, MINUTE, database_time
from tests.harness.closings import Declare, declare, told
from tests.harness.desk import ISSUE, ORDER, user, wins
from tests.harness.rows import acts_done, set_consumer
from tests.harness.threads import held

__all__ = ["declare"]

pytestmark = pytest.mark.django_db(transaction=True)
Hints = list[dict[str, list[int]]]
WHY = {"actor": "ada", "reason": "the order was cancelled"}


def delayed(key: str = "", **fields: object) -> Message:
    return wins.pending(key, at=database_time() + HOUR, **fields)


def due_now() -> int:
    return Message.objects.filter(not_before__lte=Now(), due_at__lte=Now()).count()


def test_a_message_that_waits_is_withdrawn_with_who_and_why_in_the_audit(lead: User, hints: Hints) -> None:
    message = delayed()

    withdrawn = operate.withdraw(message.pk, revision=0, actor=lead, reason="a test campaign", origin="10.0.0.7")

    assert (withdrawn.status, withdrawn.resolution, withdrawn.revision) == ("failed", "withdrawn", 1)
    assert withdrawn.finished_at is not None
    assert withdrawn.exhausted_at is None
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.message_id, entry.reason) == (
        "lead",
        "withdraw",
        message.pk,
        "a test campaign",
    )
    assert (entry.before["resolution"], entry.after["resolution"]) == ("", "withdrawn")
    assert hints == []


@pytest.mark.parametrize("make", [wins.started, wins.success, wins.failed, wins.handled, wins.discarded])
@pytest.mark.parametrize("act", [operate.withdraw, operate.hurry])
def test_what_does_not_wait_is_neither_withdrawn_nor_hurried(make, act, lead: User) -> None:
    message = make()
    before = Message.objects.values().get()

    with pytest.raises(NotAllowed):
        act(message.pk, revision=message.revision, actor=lead, reason="please")

    assert Message.objects.values().get() == before
    assert not acts_done().exists()


@pytest.mark.parametrize(
    ("act", "permission"), [(operate.withdraw, "withdraw_message"), (operate.hurry, "hurry_message")]
)
def test_each_act_takes_its_own_permission(act, permission: str) -> None:
    others = {"view_message", "retry_message", "discard_message", "withdraw_message", "hurry_message"} - {permission}
    message = delayed()

    with pytest.raises(NotAllowed, match=permission):
        act(message.pk, revision=0, actor=user("somebody", *others), reason="please")
    act(message.pk, revision=0, actor=user("another", permission), reason="please")


@pytest.mark.parametrize("act", [operate.withdraw, operate.hurry])
def test_a_message_that_somebody_changed_meanwhile_is_a_conflict(act, lead: User) -> None:
    message = delayed()
    operate.hurry(message.pk, revision=0, actor="bert", reason="it is urgent")

    with pytest.raises(Conflict, match="bert made the message due since you looked"):
        act(message.pk, revision=0, actor=lead, reason="please")


@pytest.mark.services
@pytest.mark.parametrize("act", [operate.withdraw, operate.hurry])
def test_an_act_on_what_is_just_being_taken_up_waits_for_nobody(act, lead: User) -> None:
    message = delayed()
    with (
        held(Message.objects.select_for_update(no_key=True)),
        pytest.raises(Conflict, match="just taking the message up"),
    ):
        act(message.pk, revision=0, actor=lead, reason="please")


def test_withdrawing_the_first_of_a_key_lets_the_next_go(lead: User, hints: Hints) -> None:
    head = delayed("head", ordering_key="till 1")
    behind = wins.pending("behind", ordering_key="till 1", due_at=database_time() + HOUR)

    operate.withdraw(head.pk, revision=0, actor=lead, reason="cancelled")

    assert hints == [{ISSUE: [behind.pk]}]


def test_hurrying_makes_it_due_and_hints_it(lead: User, hints: Hints) -> None:
    message = delayed()

    hurried = operate.hurry(message.pk, revision=0, actor=lead, reason="the winner is on the phone")

    assert (hurried.status, hurried.revision, due_now()) == ("pending", 1, 1)
    assert hints == [{ISSUE: [message.pk]}]
    assert AuditEntry.objects.get().after["not_before"] == hurried.not_before.isoformat()


def test_what_is_due_already_is_not_hurried(lead: User) -> None:
    message = wins.pending()

    with pytest.raises(NotAllowed, match="due already"):
        operate.hurry(message.pk, revision=0, actor=lead, reason="please")


def test_many_are_hurried_the_next_first_in_small_transactions(monkeypatch: pytest.MonkeyPatch, hints: Hints) -> None:
    monkeypatch.setattr(pacing, "FIRST", 2)
    monkeypatch.setattr(pacing, "AIM", 0.0)
    monkeypatch.setattr(pacing, "FEWEST", 2)
    made = [wins.pending(f"{n}", at=database_time() + n * MINUTE) for n in (6, 1, 2, 3, 4, 5)]
    delayed("another", consumer=ORDER)
    committed: list[int] = []

    for done in operate.hurry_many(ISSUE, most=5, actor="ada", reason="codes were added"):
        assert not connection.in_atomic_block
        committed.append(done)

    assert committed == [2, 2, 1]
    assert due_now() == 5
    made[0].refresh_from_db()
    assert made[0].not_before > database_time()
    assert [entry.after["messages"] for entry in AuditEntry.objects.order_by("id")] == [2, 2, 1]
    assert {entry.subject for entry in acts_done()} == {ISSUE}
    assert hints == []


def test_what_is_to_be_hurried_is_asked_for_as_the_index_of_the_unfinished_has_it() -> None:
    sql = str(hurrying.delayed_of(ISSUE).query)

    assert '"finished_at" IS NULL' in sql
    assert sql.endswith('ORDER BY "outbox_message"."due_at" ASC, "outbox_message"."id" ASC')


@pytest.mark.services
def test_many_are_hurried_past_what_a_worker_is_taking_up() -> None:
    rows = [delayed("1"), delayed("2")]
    with held(Message.objects.select_for_update(no_key=True).filter(pk=rows[0].pk)):
        assert list(operate.hurry_many(ISSUE, most=10, **WHY)) == [1]


def test_hurrying_many_takes_the_permission_a_reason_and_a_number(viewer: User) -> None:
    with pytest.raises(NotAllowed, match="hurry_message"):
        operate.hurry_many(ISSUE, most=1, actor=viewer, reason="please")
    with pytest.raises(NotAllowed, match="Say why"):
        operate.hurry_many(ISSUE, most=1, actor="ada", reason=" ")
    with pytest.raises(NotAllowed, match="1 or more"):
        operate.hurry_many(ISSUE, most=0, **WHY)


def test_the_command_withdraws_by_id_or_by_event_and_says_what_became_of_each(capsys) -> None:
    first, done = delayed("1"), wins.success("1", consumer=ORDER)
    who = ("--reason", "cancelled", "--actor", "ada")

    with pytest.raises(CommandError, match="1 of 2 refused"):
        call_command("outbox_withdraw", "--topic", first.topic, "--key", "1", *who)
    with pytest.raises(CommandError, match="1 of 1 refused"):
        call_command("outbox_withdraw", str(first.pk), "--json", *who)
    with pytest.raises(CommandError, match="by their ids, or one event"):
        call_command("outbox_withdraw", str(first.pk), "--topic", "x", "--key", "y", *who)
    with pytest.raises(CommandError, match="no message of this event"):
        call_command("outbox_withdraw", "--topic", first.topic, "--key", "2", *who)

    out, err = capsys.readouterr()
    said, answer = out.splitlines()
    assert said == f"{first.pk}: withdrawn ({ISSUE})"
    assert err == f"{done.pk}: It does not wait any more: it is over.\n"
    assert json.loads(answer)["answer"] == "refused"
    assert acts_done().get().origin.startswith("command (")


def test_the_command_hurries_one_or_many_and_counts_before(capsys) -> None:
    first, *_others = (delayed(f"{n}") for n in range(4))
    _others = list(_others)
    set_consumer(ISSUE, paused_at=Now(), paused_by="bert")
    who = ("--reason", "codes were added", "--actor", "ada")

    call_command("outbox_hurry", str(first.pk), "--json", *who)
    call_command("outbox_hurry", "--consumer", ISSUE, "--most", "2", "--json", *who)
    counted = due_now()
    call_command("outbox_hurry", "--consumer", ISSUE, "--most", "2", "--yes", *who)

    answers = capsys.readouterr().out.splitlines()
    assert json.loads(answers[0]) == {"id": first.pk, "consumer": ISSUE, "answer": "due now"}
    assert json.loads(answers[1]) == {"consumer": ISSUE, "waiting": 3, "to_hurry": 2, "hurried": 0}
    assert answers[2] == f"{ISSUE}: 2 are due now."
    assert "was paused by bert" in answers[3]
    assert (counted, due_now()) == (1, 3)


def test_the_hurry_command_says_what_it_needs() -> None:
    who = ("--reason", "please", "--actor", "ada")

    with pytest.raises(CommandError, match="how many by --most"):
        call_command("outbox_hurry", "--consumer", ISSUE, *who)
    with pytest.raises(CommandError, match="1 or more"):
        call_command("outbox_hurry", "--consumer", ISSUE, "--most", "0", "--yes", *who)


def test_a_message_that_waits_offers_both_and_is_withdrawn_only_on_a_word(desk) -> None:
    message = delayed()
    url = f"/admin/outbox/message/{message.pk}/change/"

    page = desk.get(url)
    desk.post(url, {"act": "withdraw", "revision": 0, "reason": "cancelled"})
    unconfirmed = Message.objects.get().status
    hurried = desk.post(url, {"act": "hurry", "revision": 0, "reason": "urgent"}, follow=True)
    after = desk.post(url, {"act": "withdraw", "revision": 1, "reason": "cancelled", "confirm": "on"}, follow=True)

    assert [(panel.form.act, panel.refusal) for panel in page.context["panels"]] == [("hurry", ""), ("withdraw", "")]
    assert unconfirmed == "pending"
    assert "Due now: a worker takes it up in turn." in hurried.text
    assert "Withdrawn: it was taken back before it was done." in after.text
    assert "lead withdrew the message" in after.text
    assert Message.objects.get().resolution == "withdrawn"


def test_what_the_code_withdrew_says_so_and_stands_under_its_tab(desk) -> None:
    message = delayed()
    Message.objects.filter(pk=message.pk).close_as_withdrawn()

    page = desk.get(f"/admin/outbox/message/{message.pk}/change/")
    queue = desk.get("/admin/outbox/message/", {"tab": "withdrawn"})

    assert "Withdrawn by the code" in page.text
    assert [panel.form.act for panel in page.context["panels"]] == ["replay"]
    assert [row.pk for row, _subject in queue.context["rows"]] == [message.pk]


def test_what_one_may_not_do_to_a_message_that_waits_is_disabled_with_the_reason(client, viewer: User) -> None:
    message = delayed()
    client.force_login(viewer)

    page = client.get(f"/admin/outbox/message/{message.pk}/change/")
    posted = client.post(
        f"/admin/outbox/message/{message.pk}/change/",
        {"act": "withdraw", "revision": 0, "reason": "please", "confirm": "on"},
    )

    assert page.text.count("<fieldset disabled>") == 3
    assert "outbox.withdraw_message" in page.text
    assert "You may not do this" in posted.text
    assert Message.objects.get().status == "pending"


def test_the_business_follows_a_withdrawal_in_the_same_step(lead: User, declare: Declare) -> None:
    heard: list[Closing] = []
    declare(on_withdrawn=heard.extend)
    message = told.pending("7", at=database_time() + HOUR)

    operate.withdraw(message.pk, revision=0, actor=lead, reason=" a test ")

    [closing] = heard
    assert (closing.message.pk, closing.message.status) == (message.pk, "pending")
    assert (closing.outcome, closing.reason, closing.actor) == ("withdrawn", "a test", "lead")
    assert Message.objects.get().resolution == "withdrawn"


def test_the_business_may_refuse_a_withdrawal(lead: User, declare: Declare) -> None:
    def refuse(closings: list[Closing]) -> None:
        raise Reject("nothing else would expire it")

    declare(on_withdrawn=refuse)
    message = told.pending("7", at=database_time() + HOUR)

    with pytest.raises(NotAllowed, match="The business does not permit it: nothing else would expire it"):
        operate.withdraw(message.pk, revision=0, actor=lead, reason="a test")

    assert (Message.objects.get().status, Message.objects.get().revision) == ("pending", 0)
