"""Every event of a span is done over again, or given to a consumer that came later: once, and in order."""

import json

import pytest
from django.core.management import call_command
from django.db import connection, transaction

import outbox
from outbox import operate
from outbox.errors import NotAllowed
from outbox.models import AuditEntry, Message
from outbox.operate import pacing, replays
from outbox.operate.replays import count_span
from tests.harness.clock import HOUR, MINUTE, database_time, let_pass
from tests.harness.desk import ISSUE, ORDER, TOPIC, wins
from tests.outbox.operate.replaying import LATER, WHY, Hints, an_hour_ago, replayed, span_to

pytestmark = pytest.mark.django_db(transaction=True)


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
