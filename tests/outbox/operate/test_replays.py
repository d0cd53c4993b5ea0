"""Doing once more what is over: one message, or what a topic had in a span of time, to one consumer."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from outbox import consumer, operate, registry
from outbox.errors import Conflict, NotAllowed
from outbox.models import AuditEntry, Message
from tests.harness.desk import ISSUE, ORDER, TOPIC, user, wins
from tests.outbox.operate.replaying import LATER, WHY, Hints, span_to

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def once() -> Iterator[str]:
    """A consumer that is called at most once for a message."""
    consumer(TOPIC, name=LATER, atomic=False, at_most_once=True)(lambda _message: None)
    yield LATER
    registry.forget_consumer(LATER)


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
    consumer(TOPIC, name=ISSUE, atomic=False, at_most_once=True)(lambda _message: None)

    page = desk.get(f"/admin/outbox/message/{wins.success().pk}/change/")

    assert page.text.count("<fieldset disabled>") == 1
    assert "can be called twice" in page.text
