"""Doing once more what is over: one message, or what a topic had in a span of time, to one consumer."""

import json
from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection, transaction

import outbox
from outbox import operate, registry
from outbox.errors import Conflict, NotAllowed
from outbox.models import AuditEntry, Message
from outbox.operate import pacing, replays
from outbox.operate.replays import Span, count_span
from tests.harness.clock import HOUR, MINUTE, database_time, let_pass
from tests.harness.desk import ISSUE, ORDER, TOPIC, user, wins

pytestmark = pytest.mark.django_db(transaction=True)
Hints = list[dict[str, list[int]]]
LATER = "desk.later"
WHY = {"actor": "ada", "reason": "it lost every second line"}


@pytest.fixture
def later() -> Iterator[str]:
    """A consumer that was added when all had been published."""
    registry.consumer(TOPIC, name=LATER)(lambda _message: None)
    yield LATER
    registry.forget_consumer(LATER)


@pytest.fixture
def once() -> Iterator[str]:
    """A consumer that is called at most once for a message."""
    registry.consumer(TOPIC, name=LATER, atomic=False, at_most_once=True)(lambda _message: None)
    yield LATER
    registry.forget_consumer(LATER)


def an_hour_ago(make, key: str = "", **fields) -> Message:
    """Write a message that was published an hour ago."""
    message = make(key, **fields)
    Message.objects.filter(pk=message.pk).update(created_at=database_time() - HOUR)
    return message


def span_to(consumer: str = ISSUE, **changes) -> Span:
    now = database_time()
    return Span(**{"topic": TOPIC, "consumer": consumer, "since": now - 2 * HOUR, "until": now - MINUTE, **changes})


def replayed() -> list[tuple[str, str, int]]:
    """Read consumer, key and number of what was written by replays, the oldest first."""
    made = Message.objects.filter(status="pending", attempts=0).order_by("id")
    return list(made.values_list("consumer", "key", "replay"))


def test_a_replay_writes_a_new_message_of_the_event_and_leaves_the_old_one(lead: User, hints: Hints) -> None:
    old = wins.success(headers={"trace": "abc"})
    before = Message.objects.values().get(pk=old.pk)

    new = operate.replay(old.pk, revision=0, actor=lead, reason="it lost every second line")

    assert (new.topic, new.key, new.consumer, new.replay) == (old.topic, old.key, old.consumer, 1)
    assert (new.payload, new.headers, new.status, new.attempts, new.attempt_limit) == (
        old.payload,
        {"trace": "abc"},
        "pending",
        0,
        3,
    )
    assert new.expires_at - new.created_at == timedelta(days=2)
    assert new.not_before == new.due_at == new.created_at
    assert new.idempotency_key != old.idempotency_key
    assert Message.objects.values().get(pk=old.pk) == before
    assert hints == [{ISSUE: [new.pk]}]
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.message_id) == ("replay", old.pk)
    assert entry.after == {"replayed_as": new.pk, "consumer": ISSUE, "idempotency_key": "new"}


def test_a_replay_may_have_the_same_idempotency_key_as_the_message_had() -> None:
    old = wins.success()

    new = operate.replay(old.pk, revision=0, same_key=True, **WHY)

    assert new.idempotency_key == old.idempotency_key


def test_another_consumer_never_gets_the_key_of_the_first(later: str) -> None:
    old = wins.success()

    new = operate.replay(old.pk, revision=0, consumer=later, same_key=True, **WHY)

    assert (new.consumer, new.replay) == (LATER, 0)
    assert new.idempotency_key != old.idempotency_key


def test_each_replay_has_the_next_number() -> None:
    old = wins.success()
    first = operate.replay(old.pk, revision=0, **WHY)
    Message.objects.filter(pk=first.pk).close_as_withdrawn()

    assert operate.replay(old.pk, revision=0, **WHY).replay == 2


def test_a_replay_stands_at_the_end_of_its_ordering_key(hints: Hints) -> None:
    old = wins.success("old", ordering_key="till 1")
    waiting = wins.pending("waiting", ordering_key="till 1")

    new = operate.replay(old.pk, revision=0, **WHY)

    assert new.pk > waiting.pk
    assert new.due_at == new.expires_at
    assert hints == []


@pytest.mark.parametrize("make", [wins.pending, wins.started, wins.failed])
def test_what_is_not_over_is_not_replayed(make) -> None:
    message = make()

    with pytest.raises(NotAllowed):
        operate.replay(message.pk, revision=0, **WHY)

    assert Message.objects.count() == 1


def test_a_replay_that_is_not_over_keeps_a_second_one_away() -> None:
    old = wins.success()
    first = operate.replay(old.pk, revision=0, **WHY)

    with pytest.raises(NotAllowed, match=f"Message {first.pk} of the same event"):
        operate.replay(old.pk, revision=0, **WHY)


def test_what_is_called_at_most_once_is_never_replayed(once: str) -> None:
    old = wins.success()

    with pytest.raises(NotAllowed, match="at most once"):
        operate.replay(old.pk, revision=0, consumer=once, **WHY)
    with pytest.raises(NotAllowed, match="at most once"):
        operate.replay_span(span_to(once), same_key=False, **WHY)

    assert Message.objects.count() == 1


def test_a_replay_goes_to_a_consumer_of_the_topic_that_is_in_the_code() -> None:
    old = wins.success()

    with pytest.raises(NotAllowed, match="no consumer named “nobody”"):
        operate.replay(old.pk, revision=0, consumer="nobody", **WHY)
    with pytest.raises(NotAllowed, match=r"desk\.issue does not listen to other\.topic"):
        operate.replay_span(span_to(topic="other.topic"), same_key=False, **WHY)


def test_a_replay_takes_its_own_permission_a_reason_and_the_row_as_it_was_seen() -> None:
    old = wins.success(revision=1)
    act = partial(operate.replay, old.pk, revision=1)

    with pytest.raises(NotAllowed, match="replay_message"):
        act(actor=user("somebody", "view_message", "retry_message"), reason="please")
    with pytest.raises(NotAllowed, match="Say why"):
        act(actor="ada", reason="")
    with pytest.raises(Conflict):
        operate.replay(old.pk, revision=0, **WHY)


def test_a_consumer_added_later_is_given_every_event_of_a_span_once(later: str) -> None:
    for consumer in (ISSUE, ORDER):
        an_hour_ago(wins.success, "1", consumer=consumer)
    an_hour_ago(wins.failed, "2")
    an_hour_ago(wins.pending, "3", attempts=1)
    an_hour_ago(wins.pending, "taken back")
    Message.objects.filter(key="taken back").close_as_withdrawn()
    wins.success("too late", created_at=database_time())
    an_hour_ago(wins.success, "another topic", topic="desk.lost")

    assert count_span(span_to(later)).to_write == 3
    assert list(operate.replay_span(span_to(later), same_key=False, **WHY)) == [3]
    assert replayed() == [(LATER, "1", 0), (LATER, "2", 0), (LATER, "3", 0)]


def test_after_a_bug_a_consumer_does_what_is_over_again_and_nothing_else() -> None:
    an_hour_ago(wins.success, "done")
    an_hour_ago(wins.handled, "by hand")
    an_hour_ago(wins.failed, "stuck")
    an_hour_ago(wins.started, "under way")
    an_hour_ago(wins.success, "of another", consumer=ORDER)
    span = span_to()

    count = count_span(span)
    written = sum(operate.replay_span(span, same_key=True, **WHY))

    assert (count.to_write, count.left_out) == (3, 2)
    assert written == 3
    assert replayed() == [(ISSUE, "done", 1), (ISSUE, "by hand", 1), (ISSUE, "of another", 0)]
    done = Message.objects.filter(key="done").values_list("drawn_key", flat=True)
    assert len(set(done)) == 1


def test_a_span_goes_on_where_it_was_stopped_and_is_done_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "FIRST", 2)
    monkeypatch.setattr(pacing, "AIM", 0.0)
    monkeypatch.setattr(pacing, "FEWEST", 2)
    monkeypatch.setattr(replays, "WINDOW", 3)
    for n in range(7):
        an_hour_ago(wins.success, f"{n}")
    span = span_to()

    run = operate.replay_span(span, same_key=False, **WHY)
    next(run), next(run)
    assert not connection.in_atomic_block
    run.close()
    stopped = len(replayed())
    again = sum(operate.replay_span(span, same_key=False, **WHY))

    assert 0 < stopped < 7
    assert stopped + again == 7
    assert sorted(key for _consumer, key, _number in replayed()) == [f"{n}" for n in range(7)]
    assert sum(operate.replay_span(span, same_key=False, **WHY)) == 0
    assert sum(entry.after["messages"] for entry in AuditEntry.objects.all()) == 7


def test_a_later_span_replays_the_replays_too_but_each_event_once() -> None:
    an_hour_ago(wins.success, "1")
    sum(operate.replay_span(span_to(), same_key=False, **WHY))
    Message.objects.filter(status="pending").update(status="success", finished_at=database_time())
    let_pass(MINUTE)
    Message.objects.filter(replay=1).update(created_at=database_time() - 10 * MINUTE)

    written = sum(operate.replay_span(span_to(), same_key=False, **WHY))

    assert written == 1
    assert replayed() == [(ISSUE, "1", 2)]


def test_the_events_of_an_ordering_key_are_replayed_in_order_behind_what_waits(later: str, hints: Hints) -> None:
    for key in ("1", "2"):
        an_hour_ago(wins.success, key, ordering_key="till 1")
    free = an_hour_ago(wins.success, "3")

    sum(operate.replay_span(span_to(later), same_key=False, **WHY))

    made = {message.key: message for message in Message.objects.filter(consumer=LATER)}
    assert made["1"].pk < made["2"].pk
    assert [made[key].due_at == made[key].expires_at for key in ("1", "2", "3")] == [False, True, False]
    assert made["3"].key == free.key
    assert hints == []


def test_a_span_must_end_after_it_begins_and_not_in_the_future() -> None:
    now = database_time()

    for since, until in [(now, now - HOUR), (now - HOUR, now + HOUR)]:
        with pytest.raises(NotAllowed, match="must end after it begins"):
            operate.replay_span(span_to(since=since, until=until), same_key=False, **WHY)


def test_what_was_published_before_its_replay_is_a_no_op_when_published_again(later: str) -> None:
    with transaction.atomic():
        outbox.publish(TOPIC, key="1", payload={"n": 1})
    Message.objects.filter(consumer=LATER).delete()
    Message.objects.update(status="success", finished_at=database_time(), attempts=1)
    operate.replay(Message.objects.get(consumer=ISSUE).pk, revision=0, consumer=later, **WHY)

    with transaction.atomic():
        assert outbox.publish(TOPIC, key="1", payload={"n": 1}) == []
    assert outbox.status(TOPIC, key="1")[LATER].is_open


def test_the_command_counts_and_replays_a_span_only_on_a_word(capsys, later: str) -> None:
    an_hour_ago(wins.success, "1")
    span = span_to()
    args = ("--topic", TOPIC, "--consumer", later, "--from", span.since.isoformat(), "--to", span.until.isoformat())
    who = ("--reason", "added today", "--actor", "ada")

    call_command("outbox_replay", *args, *who)
    call_command("outbox_replay", *args, "--json", "--yes", "--dry-run", *who)
    nothing = Message.objects.count()
    call_command("outbox_replay", *args, "--json", "--yes", *who)

    said, dry, done = capsys.readouterr().out.splitlines()
    assert said.endswith("1 events to replay. Do it with --yes.")
    assert (json.loads(dry)["to_write"], json.loads(dry)["written"]) == (1, 0)
    assert json.loads(done) == {
        "topic": TOPIC,
        "consumer": LATER,
        "since": span.since.isoformat(),
        "until": span.until.isoformat(),
        "to_write": 1,
        "left_out": 0,
        "written": 1,
    }
    assert (nothing, Message.objects.count()) == (1, 2)


def test_the_command_replays_messages_by_id(capsys) -> None:
    old = wins.success()
    who = ("--reason", "a bug", "--actor", "ada")

    with pytest.raises(CommandError, match="Do it with --yes"):
        call_command("outbox_replay", str(old.pk), *who)
    call_command("outbox_replay", str(old.pk), "--yes", "--same-key", *who)

    new = Message.objects.get(replay=1)
    assert new.idempotency_key == old.idempotency_key
    assert capsys.readouterr().out == f"{old.pk}: replayed as message {new.pk} ({ISSUE})\n"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--topic", TOPIC, "--from", "2026-01-01", "--to", "2026-01-02"), "A span takes"),
        (("--topic", TOPIC, "--consumer", ISSUE, "--from", "yesterday", "--to", "2026-01-02"), "a day or a moment"),
        (("--topic", TOPIC, "--consumer", ISSUE, "--from", "2026-01-01"), "--to : a day or a moment"),
        (("--topic", TOPIC, "--consumer", ISSUE, "--from", "2026-01-02", "--to", "2026-01-01"), "must end after"),
    ],
)
def test_the_replay_command_says_what_it_needs(args, said: str) -> None:
    with pytest.raises(CommandError, match=said):
        call_command("outbox_replay", *args, "--reason", "please", "--actor", "ada")


def test_a_message_that_is_over_can_be_replayed_from_its_page(desk, later: str) -> None:
    old = wins.success()
    url = f"/admin/outbox/message/{old.pk}/change/"
    given = {"act": "replay", "revision": 0, "reason": "a bug", "consumer": later, "identity": "new"}

    page = desk.get(url)
    desk.post(url, given)
    unconfirmed = Message.objects.count()
    after = desk.post(url, {**given, "confirm": "on"}, follow=True)

    new = Message.objects.get(consumer=later)
    [panel] = page.context["panels"]
    assert [name for name, _label in panel.form.fields["consumer"].choices] == [ISSUE, later, ORDER]
    assert not panel.is_open
    assert unconfirmed == 1
    assert f"Replayed to {LATER} as message {new.pk}." in after.text
    assert "lead replayed the message" in after.text
    assert "Written by a replay" not in desk.get(f"/admin/outbox/message/{new.pk}/change/").text


def test_a_replay_says_at_the_desk_that_it_is_one(desk) -> None:
    new = operate.replay(wins.success().pk, revision=0, **WHY)

    page = desk.get(f"/admin/outbox/message/{new.pk}/change/")

    assert "Written by a replay of the event, number 1" in page.text


def test_where_nobody_may_be_called_twice_the_page_says_why_there_is_no_replay(desk) -> None:
    for name in (ISSUE, ORDER):
        registry.forget_consumer(name)
    registry.consumer(TOPIC, name=ISSUE, atomic=False, at_most_once=True)(lambda _message: None)

    page = desk.get(f"/admin/outbox/message/{wins.success().pk}/change/")

    assert page.text.count("<fieldset disabled>") == 1
    assert "can be called twice" in page.text
