"""Telling the winner: one consumer more of the same event, by mail, whatever mood the mail server is in."""

import re
import smtplib
import socket

import pytest
from django.core import mail as outgoing
from django.core.exceptions import ImproperlyConfigured

from awards.channels.mail import address_of
from awards.consumers import issue_points, tell_winner
from awards.models import Award, AwardStatus, Prize
from outbox import Message, Reject, Snooze, Unavailable
from outbox.delivery import chunks
from tests.awards.given import a_campaign, a_coupon_prize, a_draw, an_award_of_points, message_of, points

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "awards.tell_winner"


@pytest.fixture(autouse=True)
def site(settings):
    settings.SITE_URL = "https://raffle.example"
    settings.DEFAULT_FROM_EMAIL = "Makegood <prizes@raffle.example>"
    settings.LANGUAGE_CODE = "en"


def mail_to(award: Award):
    """Return the one mail that was sent when the award's message was delivered."""
    chunks.deliver(NAME, [message_of(award, NAME).pk])
    (mail,) = outgoing.outbox
    return mail


def test_the_winner_is_told_what_was_won_and_where_to_look():
    award = an_award_of_points("anna@example.com", 50)

    mail = mail_to(award)

    assert (mail.subject, mail.to) == ("You have won: 50 points", ["anna@example.com"])
    assert mail.from_email == "Makegood <prizes@raffle.example>"
    assert "You have won in “Raffle”: 50 points." in mail.body
    assert f"https://raffle.example/draws/{award.draw.public_id}/" in mail.body
    assert f"Award number: {award.public_id}" in mail.body
    assert message_of(award, NAME).status == "success"


def test_a_mail_carries_the_same_id_however_often_it_is_sent():
    message = message_of(an_award_of_points(), NAME)

    tell_winner(message)
    tell_winner(message)

    ids = [mail.message()["Message-ID"] for mail in outgoing.outbox]
    assert ids == [f"<{message.idempotency_key}@raffle.example>"] * 2
    assert {mail.message()["Auto-Submitted"] for mail in outgoing.outbox} == {"auto-generated"}


@pytest.mark.parametrize(
    ("language", "subject"),
    [("zh-hans", "您中奖了：50 points"), ("en", "You have won: 50 points"), ("xx", "You have won: 50 points")],
)
def test_the_winner_is_told_in_the_language_of_the_draw(language, subject):
    award = an_award_of_points(value=50)
    message = message_of(award, NAME)
    Message.objects.filter(pk=message.pk).update(payload={"language": language})

    assert mail_to(award).subject == subject


def test_a_draw_on_a_chinese_page_makes_a_chinese_mail(client):
    points(a_campaign())

    client.post(
        "/api/campaigns/raffle/draws",
        '{"person": "anna@example.com"}',
        content_type="application/json",
        headers={"Idempotency-Key": "request-1", "Accept-Language": "zh-Hans"},
    )

    assert mail_to(Award.objects.get()).subject.startswith("您中奖了")


@pytest.mark.parametrize("payload", [None, [], "text", {}, {"language": None}, {"language": ["x"]}])
def test_any_payload_will_do_and_the_award_alone_says_who_is_told(payload):
    award = an_award_of_points("anna@example.com")
    Message.objects.filter(consumer=NAME).update(payload=payload or {})
    message = message_of(award, NAME)
    message.payload = payload

    tell_winner(message)

    assert outgoing.outbox[0].to == ["anna@example.com"]


@pytest.mark.parametrize("person", ["Anna", "王小明", "anna@", "anna @example.com", "a@b@example.com"])
def test_who_gave_no_e_mail_address_is_not_told_and_that_is_a_success(person):
    award = an_award_of_points(person)

    chunks.deliver(NAME, [message_of(award, NAME).pk])

    assert outgoing.outbox == []
    assert message_of(award, NAME).status == "success"
    assert address_of(person) == ""


def test_an_award_that_was_revoked_is_not_announced_and_an_issued_one_is():
    revoked, issued = an_award_of_points("anna@example.com"), an_award_of_points("bertha@example.com")
    Award.objects.filter(pk=revoked.pk).update(status=AwardStatus.REVOKED)
    issue_points(message_of(issued))

    chunks.deliver(NAME, [message_of(revoked, NAME).pk, message_of(issued, NAME).pk])

    (mail,) = outgoing.outbox
    assert mail.to == ["bertha@example.com"]
    assert "It has been issued." in mail.body


def test_a_mail_never_carries_the_code_of_a_coupon():
    campaign = a_campaign()
    a_coupon_prize(campaign, codes=1)
    award = a_draw(campaign).award
    chunks.deliver("awards.hand_out_coupon", [message_of(award).pk])

    text = mail_to(award).message().as_string()

    assert "CODE-0001" not in text


def test_a_prize_s_name_is_text_in_the_mail_and_no_header_of_its_own():
    award = an_award_of_points()
    Prize.objects.update(name="Mug & <b>cup</b>\nBcc: eve@example.com")

    mail = mail_to(award)

    assert mail.subject == "You have won: Mug & <b>cup</b> Bcc: eve@example.com"
    assert mail.message()["Bcc"] is None
    assert "Mug & <b>cup</b>" in mail.body


def test_without_the_site_s_address_the_mail_says_what_it_can(settings):
    settings.SITE_URL = ""
    award = an_award_of_points()

    mail = mail_to(award)

    assert "http" not in mail.body
    assert str(award.public_id) in mail.body
    assert not re.search(r"\n{3,}", mail.body)


def test_a_wrong_address_of_the_site_is_said_so(settings):
    settings.SITE_URL = "raffle.example"

    with pytest.raises(ImproperlyConfigured, match=r"SITE_URL 'raffle\.example' must be http"):
        tell_winner(message_of(an_award_of_points(), NAME))


@pytest.mark.parametrize(
    ("error", "signal", "said"),
    [
        (ConnectionRefusedError(111, "refused"), Unavailable, "refused"),
        (socket.gaierror(-2, "Name or service not known"), Unavailable, "Name or service"),
        (TimeoutError("timed out"), Unavailable, "timed out"),
        (smtplib.SMTPServerDisconnected("gone"), Unavailable, "gone"),
        (smtplib.SMTPConnectError(421, b"too busy"), Unavailable, "too busy"),
        (smtplib.SMTPAuthenticationError(535, b"wrong password"), Unavailable, "wrong password"),
        (smtplib.SMTPSenderRefused(550, b"who?", "x@y"), Unavailable, "who?"),
        (smtplib.SMTPRecipientsRefused({"a@b": (421, b"closing")}), Unavailable, "421 closing"),
        (smtplib.SMTPRecipientsRefused({"a@b": (450, b"greylisted")}), Snooze, "450 greylisted"),
        (smtplib.SMTPDataError(452, b"disk full"), Snooze, "452 disk full"),
        (smtplib.SMTPRecipientsRefused({"a@b": (550, b"no such user")}), Reject, "550 no such user"),
        (smtplib.SMTPDataError(554, b"looks like spam"), Reject, "554 looks like spam"),
        (smtplib.SMTPRecipientsRefused({}), Reject, "refused"),
    ],
    ids=lambda value: f"{type(value).__name__}" if isinstance(value, Exception) else "",
)
def test_what_the_mail_server_says_decides_how_it_goes_on(monkeypatch, error, signal, said):
    def fails(*args, **kwargs):
        raise error

    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", fails)

    with pytest.raises(signal, match=re.escape(said)):
        tell_winner(message_of(an_award_of_points(), NAME))


def test_a_real_connection_that_is_refused_costs_no_try(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    award = an_award_of_points()
    before = message_of(award, NAME)

    chunks.deliver(NAME, [before.pk])

    after = message_of(award, NAME)
    assert (after.status, after.attempt_limit - after.attempts) == ("pending", before.attempt_limit)
    assert "mail cannot be sent" in after.last_error
    assert message_of(award).status == "pending"
