"""Holding a consumer back and letting it go on: who may, what is kept, and that nobody is overwritten."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from django.utils import timezone

from outbox import audit, operate
from outbox.errors import Conflict, NotAllowed
from outbox.models import AuditEntry, ConsumerState
from tests.harness.desk import ISSUE, ORDER, user, wins
from tests.harness.rows import acts_done
from tests.harness.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)


def pause(actor: Any = "ada", **given: Any) -> ConsumerState:
    return operate.pause(ISSUE, **{"seen": None, "actor": actor, "reason": "stocktaking", **given})


def is_paused() -> bool:
    return ConsumerState.objects.paused().filter(pk=ISSUE).exists()


def test_a_pause_keeps_who_why_and_until_when(lead: User) -> None:
    before = timezone.now()

    state = pause(lead, lasting=timedelta(minutes=30), origin="10.0.0.7")

    assert (state.paused_by, state.paused_reason) == ("lead", "stocktaking")
    assert state.paused_at is not None
    assert state.paused_until == state.paused_at + timedelta(minutes=30)
    assert abs(state.paused_at - before) < timedelta(minutes=1)
    assert is_paused()


def test_a_pause_without_a_span_lasts_until_it_is_resumed() -> None:
    state = pause()

    assert state.paused_until is None
    resumed = operate.resume(ISSUE, seen=state.paused_at, actor="bob", reason="counted")
    assert (resumed.paused_at, resumed.paused_by, resumed.paused_reason) == (None, "", "")
    assert not is_paused()


def test_pausing_and_resuming_leave_the_breaker_alone() -> None:
    ConsumerState.objects.create(consumer=ISSUE, breaker="open", canary=7, probe_seconds=20, unavailable=[1, 2, 3])

    state = operate.resume(ISSUE, seen=pause().paused_at, actor="bob", reason="counted")

    assert (state.breaker, state.canary, state.probe_seconds, state.unavailable) == ("open", 7, 20, [1, 2, 3])


def test_both_are_in_the_audit_without_a_message() -> None:
    state = pause(origin="10.0.0.7")
    operate.resume(ISSUE, seen=state.paused_at, actor="bob", reason=" counted ")

    first, second = AuditEntry.objects.order_by("id")
    assert (first.actor, first.action, first.subject, first.message_id) == ("ada", "pause", ISSUE, None)
    assert (first.origin, first.reason, first.before["paused_by"]) == ("10.0.0.7", "stocktaking", "")
    assert (first.after["paused_by"], first.after["paused_until"]) == ("ada", None)
    assert (second.actor, second.action, second.reason) == ("bob", "resume", "counted")
    assert second.before == first.after
    assert audit.verify_chain() is None


@pytest.mark.parametrize("act", [operate.pause, operate.resume])
def test_it_takes_the_permission_and_a_reason(act: Any) -> None:
    pause()
    seen = ConsumerState.objects.get().paused_at
    stranger = user("stranger", "view_message", "view_consumerstate", "retry_message")

    with pytest.raises(NotAllowed, match=r"outbox\.pause_consumer"):
        act(ISSUE, seen=seen, actor=stranger, reason="please")
    with pytest.raises(NotAllowed, match="Say why"):
        act(ISSUE, seen=seen, actor="ada", reason=" ")

    assert acts_done().count() == 1
    assert ConsumerState.objects.get().paused_at == seen


def test_whoever_did_not_see_the_pause_is_told_of_it() -> None:
    pause()

    with pytest.raises(Conflict, match=r"ada paused the consumer since you looked .*stocktaking"):
        pause("bob", reason="mine")

    assert ConsumerState.objects.get().paused_by == "ada"


def test_whoever_saw_another_pause_cannot_resume_this_one() -> None:
    first = pause()
    operate.pause(ISSUE, seen=first.paused_at, actor="bob", reason="and the cellar")

    with pytest.raises(Conflict, match="bob paused the consumer since you looked"):
        operate.resume(ISSUE, seen=first.paused_at, actor="ada", reason="done")

    assert is_paused()


def test_a_pause_that_was_resumed_meanwhile_is_a_conflict() -> None:
    state = pause()
    operate.resume(ISSUE, seen=state.paused_at, actor="bob", reason="counted")

    with pytest.raises(Conflict, match="bob resumed the consumer since you looked"):
        operate.resume(ISSUE, seen=state.paused_at, actor="ada", reason="done")


def test_a_pause_that_ran_out_is_over_for_everybody() -> None:
    state = pause(lasting=timedelta(minutes=30))
    ConsumerState.objects.update(paused_until=Now() - timedelta(seconds=1))

    with pytest.raises(Conflict, match="is over by itself"):
        operate.resume(ISSUE, seen=state.paused_at, actor="ada", reason="done")
    with pytest.raises(NotAllowed, match="is not paused"):
        operate.resume(ISSUE, seen=None, actor="ada", reason="done")
    assert pause("bob").paused_by == "bob"


@pytest.mark.parametrize("span", [timedelta(0), timedelta(minutes=-1), timedelta(days=400)])
def test_a_pause_lasts_some_time_and_not_for_ever(span: timedelta) -> None:
    with pytest.raises(NotAllowed, match="at most a year"):
        pause(lasting=span)


def test_a_name_that_nobody_knows_is_refused_and_one_that_only_the_table_knows_is_not() -> None:
    wins.pending(consumer="desk.gone")

    with pytest.raises(NotAllowed, match=r"no consumer named “desk\.typo”"):
        operate.pause("desk.typo", seen=None, actor="ada", reason="x")
    assert not ConsumerState.objects.exists()
    assert operate.pause("desk.gone", seen=None, actor="ada", reason="x").paused_by == "ada"


def test_of_two_operators_at_once_exactly_one_pauses() -> None:
    ConsumerState.objects.create(consumer=ISSUE)
    rounds = 10

    def act(name: str) -> str:
        try:
            pause(name)
        except Conflict:
            return "conflict"
        return "done"

    for _round in range(rounds):
        assert sorted(at_once(lambda: act("ada"), lambda: act("bob"))) == ["conflict", "done"]
        ConsumerState.objects.update(paused_at=None)

    assert AuditEntry.objects.count() == rounds


def test_the_commands_pause_for_a_span_and_resume(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("outbox_pause", ISSUE, "--reason", "stocktaking", "--actor", "ada", "--for", "30m")
    state = ConsumerState.objects.get()
    call_command("outbox_resume", ISSUE, "--reason", "counted", "--actor", "ada")

    out = capsys.readouterr().out.splitlines()
    assert state.paused_until == state.paused_at + timedelta(minutes=30)
    assert out == [
        f"{ISSUE}: paused until {state.paused_until:%Y-%m-%d %H:%M:%S} UTC",
        f"{ISSUE}: resumed",
    ]
    assert not is_paused()
    assert all(entry.origin.startswith("command (") for entry in AuditEntry.objects.all())


def test_the_commands_replace_a_pause_and_say_what_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    pause("bob", lasting=timedelta(minutes=1))

    call_command("outbox_pause", ISSUE, "--reason", "longer", "--actor", "ada")
    with pytest.raises(CommandError, match="a number and a unit"):
        call_command("outbox_pause", ISSUE, "--reason", "x", "--actor", "ada", "--for", "soon")
    with pytest.raises(CommandError, match="no consumer named"):
        call_command("outbox_pause", "desk.typo", "--reason", "x", "--actor", "ada")
    with pytest.raises(CommandError, match="is not paused"):
        call_command("outbox_resume", ORDER, "--reason", "x", "--actor", "ada")

    assert capsys.readouterr().out == f"{ISSUE}: paused until it is resumed\n"
    assert ConsumerState.objects.get().paused_by == "ada"
