"""The page of the broker: what was last seen of it, its dead letters, and how they are discarded."""

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from outbox.broker.connection import BrokerConnection
from outbox.broker.queues import dead_letter_queue, queue_name
from outbox.broker.watching import BrokerLook, BrokerWatch, NodeSeen, QueueSeen
from outbox.models import AuditEntry, DeadLetter
from outbox.monitoring.broker import note
from tests.harness.clock import HOUR, let_pass
from tests.harness.desk import text_of
from tests.harness.rows import Rows, rescanned

pytestmark = pytest.mark.django_db(transaction=True)

PAGE, HOME = "/admin/outbox/deadletter/", "/admin/outbox/"
wins = Rows("test.till", "test.paid")


def user(name: str, *codenames: str) -> User:
    person = User.objects.create_user(name, is_staff=True)
    person.user_permissions.add(*Permission.objects.filter(content_type__app_label="outbox", codename__in=codenames))
    return person


@pytest.fixture
def ann() -> Client:
    client = Client()
    client.force_login(user("ann", "view_deadletter", "discard_deadletter", "view_message"))
    return client


def letter(number: int = 1, **facts: object) -> DeadLetter:
    given = {"queue": queue_name("test.till"), "reason": "delivery_limit", "consumer": "test.till", **facts}
    return DeadLetter.objects.create(digest=f"{number:03d}".ljust(64, "0"), **given)


def look() -> BrokerLook:
    nodes = [NodeSeen("rabbit@a", True, 900, 1000, True, 5000, 1000, False)]
    return BrokerLook(version="3.10.8", nodes=nodes, queues=[QueueSeen(queue_name("control"), 1234, 0, 5, True, 1, 1)])


@pytest.fixture(autouse=True)
def nobody_asks_the_broker(monkeypatch):
    """A page that asks the broker fails here."""

    def asked(*_args, **_kwargs):
        raise AssertionError("a page has asked the broker")

    monkeypatch.setattr(BrokerConnection, "_open", asked)
    monkeypatch.setattr(BrokerWatch, "look", asked)


def test_the_page_shows_queues_nodes_and_alarms(ann):
    note(look())

    said = text_of(ann.get(PAGE))

    for words in (queue_name("control"), "1,234", "rabbit@a", "alarm", "No worker takes", "of memory", "3.10.8"):
        assert words in said


def test_operations_says_it_in_a_line_and_leads_there(ann):
    rescanned()
    note(look())

    page = ann.get(HOME)

    assert "RabbitMQ 3.10.8: hints that wait 1,234, with workers 5, dead letters 0" in text_of(page)
    assert f'href="{PAGE}"' in page.content.decode()


def test_figures_that_are_old_are_not_shown(ann):
    note(look())
    let_pass(HOUR)

    said = text_of(ann.get(PAGE))

    assert "1,234" not in said
    assert "last looked at 60 min ago" in said


def test_before_anybody_has_looked_the_page_says_so(ann):
    assert "Nobody has looked at the broker yet" in text_of(ann.get(PAGE))


def test_a_dead_letter_says_why_and_leads_to_the_messages_that_it_named(ann):
    row = wins.failed()
    letter(ids=[row.pk, row.pk + 1000], task_id="8d1f")

    page = ann.get(PAGE)

    said = text_of(page)
    assert "worker after worker was lost with it" in said
    assert f"#{row.pk + 1000}" in said
    assert "8d1f" in said
    assert reverse("admin:outbox_message_change", args=[row.pk]) in page.content.decode()
    assert reverse("admin:outbox_message_change", args=[row.pk + 1000]) not in page.content.decode()


def test_whoever_may_not_see_messages_gets_text_and_no_link():
    client = Client()
    client.force_login(user("eve", "view_deadletter"))
    row = wins.failed()
    letter(ids=[row.pk])

    page = client.get(PAGE)

    assert f"#{row.pk}" in text_of(page)
    assert reverse("admin:outbox_message_change", args=[row.pk]) not in page.content.decode()


def test_whoever_may_not_look_is_refused():
    client = Client()
    client.force_login(user("eve", "view_message"))

    assert client.get(PAGE).status_code == 403


def test_what_is_no_hint_is_shown_and_hides_nothing(ann):
    letter(consumer="", text="<script>alert(1)</script>\u202eevil", queue="", reason="")

    page = ann.get(PAGE).content.decode()

    assert "<script>alert" not in page
    assert "\u202e" not in page


def test_the_letters_that_were_shown_are_discarded_with_a_reason_and_later_ones_are_not(ann):
    first, second = letter(1), letter(2)
    form = ann.get(PAGE).context["panels"][0].form
    third = letter(3)

    given = {"act": "discard_letters", "letters": form["letters"].value(), "reason": "seen to"}
    answer = ann.post(PAGE, given, follow=True)

    assert "Discarded." in text_of(answer)
    assert list(DeadLetter.objects.shown()) == [third]
    entry = AuditEntry.objects.get(action="discard_letters")
    assert (entry.actor, entry.reason, entry.subject) == ("ann", "seen to", "2 dead letters")
    assert sorted(entry.before) == sorted([str(first), str(second)])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"reason": ""}, "required"),
        ({"reason": "x", "letters": "1,x"}, "Load the page again"),
        ({"reason": "x", "letters": ",".join(map(str, range(1, 200)))}, "Load the page again"),
        ({"reason": "x", "letters": "99999"}, "not there any more"),
    ],
)
def test_what_cannot_be_discarded_is_said(ann, given, said):
    one = letter()

    page = ann.post(PAGE, {"act": "discard_letters", "letters": str(one.pk), **given})

    assert said in page.content.decode()
    assert list(DeadLetter.objects.shown()) == [one]


def test_without_the_permission_nothing_is_discarded():
    client = Client()
    client.force_login(user("eve", "view_deadletter"))
    one = letter()

    page = client.post(PAGE, {"act": "discard_letters", "letters": str(one.pk), "reason": "x"})

    assert "outbox.discard_deadletter" in text_of(page)
    assert list(DeadLetter.objects.shown()) == [one]


def test_the_page_of_a_hundred_letters_takes_as_many_statements_as_that_of_one(ann, django_assert_max_num_queries):
    ids = [wins.failed().pk for _number in range(5)]
    for number in range(100):
        letter(number, ids=[*ids, *range(10_000, 10_100)])
    note(BrokerLook(queues=[QueueSeen(dead_letter_queue().name, 500, 0)]))
    ann.get(PAGE)

    with django_assert_max_num_queries(10):
        page = ann.get(PAGE)

    assert "Shown are 100 of 500" in text_of(page)
    assert "and 100 more" in text_of(page)
