"""A client is told of every award that changes until it answers, and nobody else is called."""

import pytest
from django.db.models.functions import Now

from awards.claims.claiming import claim
from awards.clients import webhooks
from awards.errors import BadAddress
from awards.models import ApiClient, Award, Scope, Webhook
from awards.services.revoking import revoke
from outbox import Message
from outbox.delivery import chunks
from outbox.testing import deliver_pending
from tests.awards.claims.given import ANNA, a_claimable, let_time_pass
from tests.awards.clients.given import TELL, a_client, a_webhook, told
from tests.awards.clients.receiver import Receiver
from tests.awards.given import an_award_of_a_coupon, an_award_of_points
from tests.awards.test_closed_by_hand import discard, handle, reopen

pytestmark = pytest.mark.django_db(transaction=True)


def states(receiver: Receiver, award: Award) -> list[str]:
    said = [each["data"] for each in told(receiver) if each["data"]["award"] == str(award.public_id)]
    versions = [each["version"] for each in said]
    assert sorted(versions) == list(range(1, len(said) + 1))
    return [each["state"] for each in sorted(said, key=lambda each: each["version"])]


def test_a_client_is_told_what_has_become_of_an_award_and_whose_it_is(receiver):
    a_webhook(receiver)
    award = an_award_of_points("anna@example.com", 50)

    first, second = told(receiver)

    assert first["type"] == "award.changed"
    assert first["data"] == {
        "award": str(award.public_id),
        "state": "won",
        "version": 1,
        "campaign": award.draw.campaign.slug,
        "draw": str(award.draw.public_id),
        "prize": {"name": "50 points", "kind": "points", "value": "50.00"},
        "person": "anna@example.com",
    }
    assert (second["data"]["state"], second["data"]["version"]) == ("issued", 2)


def test_who_may_not_read_of_people_is_not_told_whose_it_is_nor_the_key_to_its_page(receiver):
    a_webhook(receiver, Scope.DRAW)
    award = an_award_of_points("anna@example.com")

    said = told(receiver)

    assert len(said) == 2
    assert all(not {"person", "draw"} & set(each["data"]) for each in said)
    assert str(award.draw.public_id) not in str(said)
    assert not Message.objects.filter(topic="award.changed", payload__icontains="anna").exists()


def claimed(award: Award) -> None:
    claim(award, ANNA)


def expired(award: Award) -> None:
    let_time_pass(award)
    deliver_pending("awards.expire_claim")


def revoked(award: Award) -> None:
    revoke(Award.objects.select_related("prize__campaign").get(pk=award.pk), actor="ada")


def opened_again(award: Award) -> None:
    reopen(discard(award))


@pytest.mark.parametrize(
    ("make", "act", "expected"),
    [
        (an_award_of_points, lambda award: None, ["won", "issued"]),
        (an_award_of_a_coupon, lambda award: None, ["won", "issued"]),
        (a_claimable, claimed, ["won", "claimed", "issued"]),
        (a_claimable, expired, ["won", "expired"]),
        (a_claimable, revoked, ["won", "revoked"]),
        (an_award_of_points, handle, ["won", "issued"]),
        (an_award_of_points, discard, ["won", "cancelled"]),
        (an_award_of_points, opened_again, ["won", "cancelled", "won"]),
    ],
    ids=["points", "coupon", "claimed gift", "expired", "revoked", "handled", "discarded", "opened again"],
)
def test_every_change_of_an_award_is_told_once_with_a_version_of_its_own(receiver, vendor, make, act, expected):
    a_webhook(receiver)
    award = make()

    act(award)

    assert states(receiver, award) == expected


def test_points_that_are_taken_back_are_told_as_well(receiver):
    a_webhook(receiver)
    award = an_award_of_points()
    deliver_pending(ignore_waits=True)

    revoked(award)

    assert states(receiver, award) == ["won", "issued", "revoked"]


@pytest.mark.parametrize("status", [500, 404, 302])
def test_it_is_told_again_under_the_same_id_until_it_is_answered_well(receiver, status):
    a_webhook(receiver)
    receiver.statuses = [status, 200]
    receiver.headers = {"Location": receiver.url}
    an_award_of_points()
    message = Message.objects.filter(topic="award.changed").earliest("pk")

    chunks.deliver(TELL, [message.pk])
    message.refresh_from_db()
    failed = (message.status, message.last_error)
    Message.objects.filter(pk=message.pk).update(due_at=Now(), not_before=Now())
    chunks.deliver(TELL, [message.pk])
    message.refresh_from_db()

    assert failed[0] == "pending"
    assert f"answered {status}" in failed[1]
    assert message.status == "success"
    first, second = receiver.told
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == message.idempotency_key
    assert first.body == second.body


def test_a_client_that_wants_nothing_more_is_work_for_a_person_at_once(receiver):
    a_webhook(receiver)
    receiver.statuses = [410]
    an_award_of_points()
    message = Message.objects.filter(topic="award.changed").earliest("pk")

    chunks.deliver(TELL, [message.pk])

    message.refresh_from_db()
    assert (message.status, message.exhausted_at is not None) == ("failed", True)


def test_a_client_that_is_away_holds_no_other_up(receiver, settings):
    away, _key = a_client(Scope.READ)
    webhooks.set_address(away, "http://127.0.0.1:1/hook", actor="maria")
    a_webhook(receiver)
    for number in range(5):
        an_award_of_points(f"person {number}")

    deliver_pending(TELL)

    assert len(receiver.told) == 5
    waits = Message.objects.filter(consumer=TELL, status="pending", payload__client=away.pk)
    assert waits.count() == 5
    assert set(waits.values_list("attempts", flat=True)) == {1}


@pytest.mark.parametrize(
    "end",
    [
        lambda hook: webhooks.switch_off(hook),
        lambda hook: ApiClient.objects.revoke(hook.client, actor="maria"),
        lambda hook: hook.delete(),
    ],
    ids=["switched off", "revoked", "deleted"],
)
def test_who_is_told_nothing_more_is_no_work_for_anybody(receiver, end):
    hook = a_webhook(receiver)
    an_award_of_points("anna")

    end(hook)

    assert told(receiver) == []
    an_award_of_points("bertha")
    assert set(Message.objects.filter(consumer=TELL).values_list("status", flat=True)) == {"success"}
    assert Message.objects.filter(consumer=TELL).count() == 1


def test_where_no_host_is_allowed_nothing_is_written(receiver, settings):
    a_webhook(receiver)
    settings.WEBHOOK_ALLOWED_HOSTS = []

    an_award_of_points()

    assert not Message.objects.filter(consumer=TELL).exists()


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://169.254.169.254/latest/meta-data", "host"),
        ("https://shop.example.com.evil.example/", "host"),
        ("https://localhost@shop.example.com/", "password"),
        ("https://user:secret@shop.example.com/", "password"),
        ("http://shop.example.com/", "plain"),
        ("http://[::1", "malformed"),
        ("file:///etc/passwd", "malformed"),
        ("gopher://127.0.0.1/", "malformed"),
        ("//shop.example.com/", "malformed"),
        ("", "malformed"),
    ],
)
def test_only_hosts_that_are_allowed_are_ever_called(settings, url, fault):
    settings.WEBHOOK_ALLOWED_HOSTS = ["127.0.0.1", "shop.example.com"]
    client, _key = a_client()

    with pytest.raises(BadAddress) as refused:
        webhooks.set_address(client, url, actor="maria")

    assert refused.value.fault == fault
    assert not Webhook.objects.exists()


def test_a_host_that_is_allowed_no_more_is_not_called(receiver, settings):
    a_webhook(receiver)
    an_award_of_points()
    settings.WEBHOOK_ALLOWED_HOSTS = ["elsewhere.example"]

    assert told(receiver) == []
    waits = Message.objects.filter(consumer=TELL)
    assert [(each.status, each.exhausted_at is not None) for each in waits] == [("failed", True)] * 2


def test_a_redirect_is_not_followed(receiver):
    a_webhook(receiver)
    receiver.statuses, receiver.headers = [307], {"Location": "http://127.0.0.1:1/"}
    an_award_of_points()
    [message] = Message.objects.filter(topic="award.changed")

    chunks.deliver(TELL, [message.pk])

    assert len(receiver.told) == 1
    message.refresh_from_db()
    assert "answered 307" in message.last_error
