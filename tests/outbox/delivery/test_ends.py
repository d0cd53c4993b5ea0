"""What the machine closes is told to the project by a message of its own, once, whoever closed it and how."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client

from outbox import Closing, Reject, consumer, operate, registry
from outbox.checks.consumers import check_consumers
from outbox.conf import conf
from outbox.delivery import chunks
from outbox.errors import ConsumerError
from outbox.maintenance import recovery, rescan
from outbox.maintenance.recovery import Batch, Kind
from outbox.models import Message
from outbox.policy import Backoff
from outbox.topics import NAME_LENGTH
from tests.harness.rows import Rows
from tests.shop.models import Stock

pytestmark = pytest.mark.django_db(transaction=True)

NAME, TELLER = "test.ends", "test.ends.exhausted"
ends = Rows(NAME, topic=NAME, attempt_limit=3)

Declare = Callable[..., list[Closing]]


@pytest.fixture
def declare(dispatched: Any) -> Iterator[Declare]:
    """Make the consumer, and return what it is told of."""

    def declare(handler: Any = lambda message: None, hook: Any = None, **options: Any) -> list[Closing]:
        heard: list[Closing] = []

        def hear(closings: Sequence[Closing]) -> None:
            heard.extend(closings)
            if hook is not None:
                hook(closings)

        consumer(NAME, name=NAME, on_exhausted=hear, **options)(handler)
        return heard

    yield declare
    registry.forget_consumer(NAME)


def told() -> list[str]:
    return list(Message.objects.filter(consumer=TELLER).order_by("id").values_list("key", flat=True))


def tell() -> None:
    chunks.deliver(TELLER, list(Message.objects.filter(consumer=TELLER, status="pending").values_list("pk", flat=True)))


def fail(message: object) -> None:
    raise Reject("no such article")


def test_an_end_is_published_with_it_hinted_after_commit_and_told_with_its_reason(
    declare: Declare, dispatched: list[Any]
) -> None:
    heard = declare(fail)
    message = ends.pending()

    chunks.deliver(NAME, [message.pk])
    assert told() == [f"{message.pk}.0"]
    assert {TELLER: []} in dispatched

    tell()
    [closing] = heard
    assert (closing.message.pk, closing.outcome, closing.reason) == (message.pk, "exhausted", "rejected")
    assert closing.message.last_error == "Reject: no such article"
    assert Message.objects.get(consumer=TELLER).status == "success"


def _never_taken(message: Message) -> None:
    Message.objects.filter(pk=message.pk).update(due_at=Now() - timedelta(days=1), sends=conf().send_limit)
    rescan._claim(registry.get(NAME), 10, room=10, counted=True)  # type: ignore[arg-type]


def _lost(message: Message) -> None:
    Message.objects.filter(pk=message.pk).update(
        status="started",
        attempts=3,
        lost=1,
        started_at=Now() - timedelta(minutes=1),
        lease_until=Now() - timedelta(minutes=1),
        due_at=Now() - timedelta(minutes=1),
    )
    recovery._recover_lost(Batch(NAME, Kind.LOST, [message.pk]))


def _expired(message: Message) -> None:
    Message.objects.filter(pk=message.pk).update(
        expires_at=Now() - timedelta(minutes=1), due_at=Now() - timedelta(minutes=2)
    )
    recovery._expire(Batch(NAME, Kind.EXPIRED, [message.pk]))


@pytest.mark.parametrize(
    ("end", "options", "outcome", "reason"),
    [
        (_never_taken, {}, "exhausted", "not_taken"),
        (_lost, {}, "exhausted", "worker_lost"),
        (_expired, {}, "exhausted", "expired"),
        (_expired, {"overdue": "discard"}, "overdue", "expired"),
        (_lost, {"atomic": False, "at_most_once": True}, "exhausted", "may_have_happened"),
    ],
    ids=["never taken", "lost", "expired", "overdue", "at most once"],
)
def test_every_end_of_the_machine_s_is_told(
    declare: Declare, end: Any, options: dict[str, Any], outcome: str, reason: str
) -> None:
    heard = declare(**options)
    message = ends.pending()

    end(message)
    tell()

    assert [(each.message.pk, each.outcome, each.reason) for each in heard] == [(message.pk, outcome, reason)]


def test_a_thousand_ends_of_one_statement_are_a_thousand_messages(declare: Declare) -> None:
    heard = declare()
    ids = [ends.pending(str(n)).pk for n in range(120)]
    Message.objects.filter(pk__in=ids).update(expires_at=Now() - timedelta(minutes=1))

    recovery._expire(Batch(NAME, Kind.EXPIRED, ids))
    while Message.objects.filter(consumer=TELLER, status="pending").exists():
        tell()

    assert sorted(each.message.pk for each in heard) == ids


def test_an_end_after_an_operator_s_retry_is_told_anew(declare: Declare) -> None:
    heard = declare(fail)
    message = ends.pending()
    chunks.deliver(NAME, [message.pk])
    tell()

    operate.retry(message.pk, revision=0, actor="ada", reason="again")
    chunks.deliver(NAME, [message.pk])
    tell()

    assert told() == [f"{message.pk}.0", f"{message.pk}.1"]
    assert len(heard) == 2


def test_of_two_ends_of_a_message_the_last_is_told_once(declare: Declare) -> None:
    heard = declare(fail)
    message = ends.pending()
    chunks.deliver(NAME, [message.pk])
    operate.retry(message.pk, revision=0, actor="ada", reason="again")
    chunks.deliver(NAME, [message.pk])
    first, second = Message.objects.filter(consumer=TELLER).order_by("id").values_list("pk", flat=True)

    later = Message.objects.filter(pk=second)
    later.update(not_before=Now() + timedelta(hours=1), due_at=Now() + timedelta(hours=1))

    chunks.deliver(TELLER, [first])
    assert heard == []
    later.update(not_before=Now(), due_at=Now())
    chunks.deliver(TELLER, [second])

    assert [each.message.revision for each in heard] == [1]


@pytest.mark.parametrize("act", [operate.retry, operate.discard])
def test_an_end_that_an_operator_has_taken_up_is_told_no_more(declare: Declare, act: Any) -> None:
    heard = declare(fail)
    message = ends.pending()
    chunks.deliver(NAME, [message.pk])

    act(message.pk, revision=0, actor="ada", reason="seen to")
    tell()

    assert heard == []
    assert Message.objects.get(consumer=TELLER).status == "success"


def test_a_hook_that_fails_keeps_the_end_and_is_called_again(declare: Declare) -> None:
    def fail_once(_closings: Sequence[Closing]) -> None:
        Stock.objects.create()
        if len(heard) == 1:
            raise ValueError("the till jams")

    heard = declare(fail, fail_once)
    message = ends.pending()
    chunks.deliver(NAME, [message.pk])

    tell()
    assert Message.objects.get(consumer=TELLER).status == "pending"
    assert not Stock.objects.exists()
    Message.objects.filter(consumer=TELLER).update(not_before=Now(), due_at=Now())
    tell()

    message.refresh_from_db()
    assert (message.status, len(heard)) == ("failed", 2)
    assert Message.objects.get(consumer=TELLER).status == "success"
    assert Stock.objects.count() == 1


def test_a_message_that_speaks_of_no_end_is_refused_and_its_neighbours_are_told(declare: Declare) -> None:
    heard = declare(fail)
    message = ends.pending()
    chunks.deliver(NAME, [message.pk])
    stray = ends.pending("stray", consumer=TELLER, topic=TELLER, payload={"message": "17"})

    tell()

    stray.refresh_from_db()
    assert (stray.status, stray.reason) == ("failed", "rejected")
    assert [each.message.pk for each in heard] == [message.pk]


def test_without_the_option_nothing_is_published(dispatched: Any) -> None:
    consumer(NAME, name=NAME, retry=Backoff(limit=3))(fail)
    try:
        chunks.deliver(NAME, [ends.pending().pk])
    finally:
        registry.forget_consumer(NAME)

    assert told() == []


def test_a_name_that_leaves_no_room_for_the_teller_s_is_refused_and_nothing_is_declared() -> None:
    name = "a" * (NAME_LENGTH - 5)

    with pytest.raises(ConsumerError, match=r"\.exhausted"):
        consumer("a.b", name=name, on_exhausted=lambda closings: None)(fail)

    assert registry.get(name) is None


def test_declared_topics_say_nothing_of_the_engine_s_own(declare: Declare) -> None:
    declare()
    registry.declare_topics(NAME)
    try:
        said = [found.msg for found in check_consumers() if TELLER in str(found.msg)]
    finally:
        registry.forget_topics()

    assert said == []


def test_the_desk_leads_from_the_telling_to_the_message(declare: Declare, admin_client: Client) -> None:
    declare(fail)
    message = ends.pending()
    chunks.deliver(NAME, [message.pk])
    telling = Message.objects.get(consumer=TELLER)

    page = admin_client.get(f"/admin/outbox/message/{telling.pk}/change/")

    assert f"Tells of the end of message {message.pk} to {NAME}" in page.text
    assert f"/admin/outbox/message/{message.pk}/change/" in page.text
