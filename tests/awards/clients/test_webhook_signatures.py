"""What a client is told is signed: as the manual has it verified, with a secret that can be rotated."""

from datetime import timedelta

import pytest
from django.db.models import F

from awards.channels import webhook as channel
from awards.clients import webhooks
from awards.models import Webhook
from tests.awards.clients.given import a_webhook, told
from tests.awards.given import an_award_of_points
from tests.harness.manual import blocks, page

pytestmark = pytest.mark.django_db(transaction=True)


def verifier():
    """Return the functions that the manual has for receivers."""
    [block] = [each for each in blocks(page("shop-api")) if each.title == "myshop/webhook.py"]
    names: dict = {}
    exec(compile(block.text, block.title, "exec"), names)
    return names["verify"], names["is_news"]


def test_what_is_told_is_verified_as_the_manual_has_it(receiver):
    hook = a_webhook(receiver)
    an_award_of_points()
    told(receiver)
    verify, is_news = verifier()
    [first, second] = receiver.told
    versions: dict[str, int] = {}

    said = verify(first.headers, first.body, [hook.secret])

    assert said["data"]["state"] == "won"
    assert is_news(said, versions)
    assert is_news(verify(second.headers, second.body, [hook.secret]), versions)
    assert not is_news(verify(first.headers, first.body, [hook.secret]), versions), "a replay is no news"


@pytest.mark.parametrize(
    ("headers", "body", "refusal"),
    [
        ({"webhook-timestamp": "1700000000"}, None, "too old"),
        ({"webhook-id": "another"}, None, "nobody who has the secret"),
        ({"webhook-signature": "v1,AAAA"}, None, "nobody who has the secret"),
        ({}, b'{"data": {"state": "issued"}}', "nobody who has the secret"),
    ],
)
def test_what_was_changed_or_is_too_old_is_refused(receiver, headers, body, refusal):
    hook = a_webhook(receiver)
    an_award_of_points()
    told(receiver)
    verify, _is_news = verifier()
    caught = receiver.told[0]

    with pytest.raises(ValueError, match=refusal):
        verify({**caught.headers, **headers}, body or caught.body, [hook.secret])


def test_a_time_that_was_renewed_by_somebody_else_makes_the_signature_wrong(receiver, monkeypatch):
    hook = a_webhook(receiver)
    monkeypatch.setattr(channel.time, "time", lambda: 1_700_000_000)
    an_award_of_points()
    told(receiver)
    monkeypatch.undo()
    verify, _is_news = verifier()
    caught = receiver.told[0]

    with pytest.raises(ValueError, match="too old"):
        verify(caught.headers, caught.body, [hook.secret])
    with pytest.raises(ValueError, match="nobody who has the secret"):
        verify({**caught.headers, "webhook-timestamp": str(int(channel.time.time()))}, caught.body, [hook.secret])


def test_after_a_rotation_both_secrets_sign_for_a_day_and_then_the_new_one_alone(receiver):
    hook = a_webhook(receiver)
    old = hook.secret
    assert Webhook.objects.rotate(hook, actor="maria")
    assert hook.secret != old
    verify, _is_news = verifier()

    webhooks.try_out(hook.client)
    Webhook.objects.update(previous_until=F("previous_until") - timedelta(hours=24))
    webhooks.try_out(hook.client)

    during, after = receiver.told
    for secret in (old, hook.secret):
        assert verify(during.headers, during.body, [secret])["type"] == "webhook.try"
    assert verify(after.headers, after.body, [hook.secret])
    with pytest.raises(ValueError, match="nobody who has the secret"):
        verify(after.headers, after.body, [old])


def test_a_rotation_that_was_overtaken_changes_nothing(receiver):
    mine = a_webhook(receiver)
    theirs = Webhook.objects.get()
    Webhook.objects.rotate(theirs, actor="ada")

    assert not Webhook.objects.rotate(mine, actor="maria")
    assert Webhook.objects.get().secret == theirs.secret
