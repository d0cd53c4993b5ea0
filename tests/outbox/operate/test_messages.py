"""What an operator may do to a message, and that two operators never overwrite each other."""

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from unittest import mock

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connections, transaction
from django.db.utils import DatabaseError
from django.utils import timezone

from outbox import audit, operate, registry
from outbox.errors import Conflict, NotAllowed
from outbox.models import AuditEntry, Evidence, HandledAs, Message, Resolution, Status
from outbox.operate import messages
from outbox.operate.actions import Action
from tests.harness.desk import ISSUE, user, wins
from tests.harness.rows import acts_done
from tests.harness.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)
Hints = list[dict[str, list[int]]]


def test_retry_gives_a_failed_message_a_fresh_set_of_tries_and_hints_it_after_commit(lead: User, hints: Hints) -> None:
    message = wins.failed(lost=2, sends=7, expires_at=timezone.now() - timedelta(days=1))
    key_before = message.idempotency_key

    with transaction.atomic():
        retried = operate.retry(message.pk, revision=0, actor=lead, reason="the till is mended", origin="10.0.0.7")
        assert hints == []

    assert (retried.status, retried.resolution, retried.finished_at, retried.exhausted_at) == (
        "pending",
        "",
        None,
        None,
    )
    assert (retried.attempts, retried.attempt_limit, retried.lost, retried.sends) == (3, 6, 2, 0)
    assert retried.due_at == retried.not_before == retried.retried_at
    assert retried.expires_at - retried.due_at == timedelta(days=2)
    assert (retried.revision, retried.idempotency_key) == (1, key_before)
    assert hints == [{ISSUE: [message.pk]}]


def test_every_action_writes_who_where_what_and_why(lead: User) -> None:
    message = wins.failed()

    operate.discard(message.pk, revision=0, actor=lead, reason=" a test campaign ", origin="10.0.0.7")

    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.origin, entry.action, entry.message_id) == ("lead", "10.0.0.7", "discard", message.pk)
    assert (entry.subject, entry.reason) == ("desk.won 1 → desk.issue", "a test campaign")
    assert (entry.before["resolution"], entry.after["resolution"]) == ("", "discarded")
    assert (entry.before["revision"], entry.after["revision"]) == (0, 1)
    assert (entry.previous, entry.digest) == (audit.GENESIS, entry.sealed())


@pytest.mark.parametrize(
    ("make", "act"),
    [
        (wins.pending, operate.retry),
        (wins.started, operate.retry),
        (wins.success, operate.retry),
        (wins.handled, operate.retry),
        (wins.discarded, operate.discard),
        (wins.started, operate.discard),
        (wins.success, operate.reopen),
        (wins.failed, operate.reopen),
        (wins.pending, operate.reopen),
    ],
)
def test_an_action_that_the_state_does_not_permit_changes_nothing(make, act, lead: User) -> None:
    message = make()
    before = Message.objects.filter(pk=message.pk).values().get()

    with pytest.raises(NotAllowed):
        act(message.pk, revision=message.revision, actor=lead, reason="please")

    assert Message.objects.filter(pk=message.pk).values().get() == before
    assert not acts_done().exists()


def test_mark_handled_asks_for_evidence_and_keeps_it(lead: User) -> None:
    message = wins.failed()

    with pytest.raises(NotAllowed, match="what proves it"):
        operate.mark_handled(
            message.pk, revision=0, actor=lead, reason="by phone", outcome=HandledAs.ISSUED, evidence="  "
        )
    handled = operate.mark_handled(
        message.pk, revision=0, actor=lead, reason="by phone", outcome=HandledAs.COMPENSATED, evidence="voucher 9"
    )

    assert (handled.status, handled.resolution, handled.exhausted_at) == (Status.SUCCESS, Resolution.HANDLED, None)
    kept = Evidence.objects.get()
    assert (str(kept), kept.message_id, kept.actor) == ("compensated otherwise: voucher 9", message.pk, "lead")


@pytest.mark.parametrize("make", [wins.handled, wins.discarded])
def test_reopen_takes_a_person_s_decision_back(make, lead: User) -> None:
    message = make()

    reopened = operate.reopen(message.pk, revision=1, actor=lead, reason="the number was wrong")

    assert (reopened.status, reopened.resolution, reopened.revision) == ("failed", "", 2)
    assert reopened.exhausted_at == reopened.finished_at is not None


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_without_a_reason_nothing_is_done(reason: str, lead: User) -> None:
    message = wins.failed()

    with pytest.raises(NotAllowed, match="Say why"):
        operate.retry(message.pk, revision=0, actor=lead, reason=reason)

    assert Message.objects.get().status == Status.FAILED


@pytest.mark.parametrize(
    ("act", "permission"),
    [
        (Action.RETRY, "retry_message"),
        (Action.HANDLE, "resolve_message"),
        (Action.DISCARD, "discard_message"),
        (Action.REOPEN, "resolve_message"),
    ],
)
def test_each_action_takes_its_own_permission(act: Action, permission: str) -> None:
    others = {"view_message", "retry_message", "resolve_message", "discard_message"} - {permission}
    person = user("somebody", *others)
    message = wins.handled() if act is Action.REOPEN else wins.failed()
    verbs = {
        Action.RETRY: operate.retry,
        Action.HANDLE: partial(operate.mark_handled, outcome=HandledAs.NOT_DUE, evidence="note"),
        Action.DISCARD: operate.discard,
        Action.REOPEN: operate.reopen,
    }

    with pytest.raises(NotAllowed, match=rf"outbox\.{permission}"):
        verbs[act](message.pk, revision=message.revision, actor=person, reason="x")

    assert not acts_done().exists()


def test_whoever_is_no_longer_active_may_do_nothing(lead: User) -> None:
    lead.is_active = False
    message = wins.failed()

    with pytest.raises(NotAllowed):
        operate.retry(message.pk, revision=0, actor=lead, reason="x")


def test_a_consumer_that_is_gone_from_the_code_cannot_be_retried(lead: User) -> None:
    message = wins.failed(consumer="desk.gone")

    with pytest.raises(NotAllowed, match=r"no consumer named “desk\.gone”"):
        operate.retry(message.pk, revision=0, actor=lead, reason="x")


def test_the_second_operator_is_told_what_the_first_has_done(lead: User) -> None:
    message = wins.failed()
    operate.discard(message.pk, revision=0, actor=lead, reason="a test campaign")

    with pytest.raises(Conflict, match=r"lead discarded the message since you looked .* “a test campaign”"):
        operate.retry(message.pk, revision=0, actor=lead, reason="again")


def test_a_message_that_was_pruned_is_a_conflict(lead: User) -> None:
    with pytest.raises(Conflict, match="no longer there"):
        operate.retry(4711, revision=0, actor=lead, reason="x")


def test_of_two_operators_on_one_row_exactly_one_acts(lead: User) -> None:
    message = wins.failed()

    def act(verb: Callable[..., object]) -> str:
        try:
            verb(message.pk, revision=0, actor=lead, reason=verb.__name__)
        except Conflict:
            return "conflict"
        return "done"

    results = at_once(lambda: act(operate.retry), lambda: act(operate.discard))

    assert sorted(results) == ["conflict", "done"]
    assert Message.objects.get().revision == 1
    assert AuditEntry.objects.count() == 1


def _discard_and_reopen(id: int) -> None:
    operate.discard(id, revision=0, actor="other", reason="first")
    operate.reopen(id, revision=1, actor="other", reason="second thoughts")


def _set_going(id: int) -> None:
    Message.objects.filter(pk=id).update(
        status="pending", finished_at=None, exhausted_at=None, reason="", attempt_limit=9
    )


@pytest.mark.services
@pytest.mark.parametrize("meanwhile", [_discard_and_reopen, _set_going])
def test_the_update_itself_compares_so_that_a_row_changed_after_reading_is_a_conflict(meanwhile, lead: User) -> None:
    message = wins.failed()
    look = messages.read_seen

    def elsewhere() -> None:
        with mock.patch.object(messages, "read_seen", look):
            meanwhile(message.pk)
        connections.close_all()

    def look_then_somebody_else_acts(*args):
        seen = look(*args)
        other = threading.Thread(target=elsewhere)
        other.start()
        other.join()
        return seen

    with mock.patch.object(messages, "read_seen", look_then_somebody_else_acts), pytest.raises(Conflict):
        operate.discard(message.pk, revision=0, actor=lead, reason="mine")

    assert Message.objects.get().resolution == Resolution.NONE
    assert not AuditEntry.objects.filter(actor="lead").exists()


def test_an_action_whose_audit_cannot_be_written_is_not_done(lead: User, hints: Hints) -> None:
    message = wins.failed()

    with mock.patch.object(audit, "append", side_effect=DatabaseError("disk full")), pytest.raises(DatabaseError):
        operate.retry(message.pk, revision=0, actor=lead, reason="x")

    assert (Message.objects.get().status, hints) == (Status.FAILED, [])


def test_settling_the_head_of_an_ordering_key_hints_the_next(lead: User, hints: Hints) -> None:
    head = wins.failed("1", ordering_key="till 1")
    following = wins.pending("2", ordering_key="till 1")
    wins.pending("3", ordering_key="till 1")
    wins.pending("4", ordering_key="till 2")

    operate.discard(head.pk, revision=0, actor=lead, reason="x")

    assert hints == [{ISSUE: [following.pk]}]


def test_an_action_beside_the_head_of_an_ordering_key_hints_nobody(lead: User, hints: Hints) -> None:
    wins.failed("1", ordering_key="till 1")
    second = wins.failed("2", ordering_key="till 1")
    wins.pending("3", ordering_key="till 1")

    operate.discard(second.pk, revision=0, actor=lead, reason="x")

    assert hints == []


def test_a_reveal_gives_the_payload_and_is_noted(lead: User, viewer: User) -> None:
    message = wins.failed()

    payload = operate.reveal(message.pk, actor=lead, origin="10.0.0.7")
    with pytest.raises(NotAllowed, match=r"outbox\.view_payload"):
        operate.reveal(message.pk, actor=viewer)

    assert payload == message.payload
    assert [(entry.actor, entry.action) for entry in acts_done()] == [("lead", "reveal")]
    assert Message.objects.get().revision == 0


def test_the_command_retries_what_it_can_and_says_what_it_cannot(capsys, hints: Hints) -> None:
    failed, done = wins.failed("1"), wins.success("2")

    with pytest.raises(CommandError, match="1 of 2 refused"):
        call_command("outbox_retry", str(failed.pk), str(done.pk), "--reason", "till mended", "--actor", "ada")

    out, err = capsys.readouterr()
    assert out == f"{failed.pk}: pending again (desk.issue)\n"
    assert err == f"{done.pk}: The machine has done this one; nothing is left to do.\n"
    entry = acts_done().get()
    assert (entry.actor, entry.reason, entry.message_id) == ("ada", "till mended", failed.pk)
    assert entry.origin.startswith("command (")
    assert hints == [{ISSUE: [failed.pk]}]


def test_a_consumer_s_own_policy_sets_the_new_limit(lead: User) -> None:
    message = wins.failed(attempts=11, attempt_limit=11)
    entry = registry.get(ISSUE)
    assert entry is not None

    retried = operate.retry(message.pk, revision=0, actor=lead, reason="x")

    assert retried.attempt_limit == 11 + entry.retry.limit
