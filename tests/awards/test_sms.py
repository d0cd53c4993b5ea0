"""Text messages: sent once whatever mood the gateway is in, in time, and only to winners who are telephone numbers."""

from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from threading import Thread

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db.models.functions import Now

from awards import conf
from awards.channels import sms
from awards.claims.claiming import claim
from awards.errors import CallFailed, CallRefused, Unanswered, Unreachable
from awards.models import Award
from awards.persons import telephone
from awards.services.revoking import revoke
from outbox import Message
from outbox.delivery import chunks
from outbox.maintenance import rescan
from outbox.models import Exchange
from outbox.testing import deliver_pending
from tests.awards.claims.given import ANNA, a_claimable
from tests.awards.given import an_award_of_points
from tests.harness.clock import let_pass

pytestmark = pytest.mark.django_db(transaction=True)

TEXT = "awards.text_winner"
NUMBER = "+49 341 998877"
DIGITS = "+49341998877"


@pytest.fixture
def gateway(vendor, settings):
    """The practice vendor, which sends text messages as well."""
    settings.SMS_URL, settings.SMS_ALLOWED_HOSTS = vendor.url, ["127.0.0.1"]
    settings.SMS_TIMEOUT = settings.SMS_CONNECT_TIMEOUT = 0.4
    settings.SITE_URL = "https://raffle.example"
    return vendor


def message_of(award: Award, what: str = "won") -> Message:
    return Message.objects.get(topic=f"award.sms.{what}", key=str(award.pk))


def deliver(message: Message) -> Message:
    Message.objects.filter(pk=message.pk).update(due_at=Now(), not_before=Now())
    chunks.deliver(TEXT, [message.pk])
    message.refresh_from_db()
    return message


@pytest.mark.parametrize(
    ("person", "number"),
    [
        (NUMBER, DIGITS),
        ("+49 (341) 99-88.77", DIGITS),
        ("+1/202/5550123", "+12025550123"),
        ("0341 998877", ""),
        ("+0341 998877", ""),
        ("+49 341", ""),
        ("+1234567890123456", ""),
        ("anna+49341998877@example.com", ""),
        ("anna", ""),
    ],
)
def test_a_telephone_number_is_known_by_its_country(person, number):
    assert telephone(person) == number


def test_a_winner_with_a_telephone_number_is_texted(gateway):
    award = an_award_of_points(NUMBER, 50)

    message = deliver(message_of(award))

    [text] = gateway.book.texts()
    assert message.status == "success"
    assert (text.to, text.key) == (DIGITS, message.idempotency_key)
    assert text.text == f"You have won: 50 points. https://raffle.example/draws/{award.draw.public_id}/"


def test_who_must_claim_is_told_to_and_again_when_it_is_on_its_way(gateway):
    award = a_claimable(NUMBER)
    deliver(message_of(award, "claimable"))
    claim(award, ANNA)
    deliver(message_of(award))

    first, second = [text.text for text in gateway.book.texts()]
    assert first.startswith("You have won: Gift MUG-01. Tell us where to send it. https://")
    assert second.startswith("You have won: Gift MUG-01. https://")


def test_others_get_none_and_without_a_gateway_nobody(gateway, settings):
    an_award_of_points("anna@example.com")
    settings.SMS_URL = ""
    an_award_of_points(NUMBER)

    assert not Message.objects.filter(consumer=TEXT).exists()


@pytest.mark.parametrize("fault", ["hang", "cut"])
def test_what_was_sent_but_not_answered_is_not_sent_again(gateway, fault):
    gateway.change({fault: 1.0})
    message = deliver(message_of(an_award_of_points(NUMBER)))
    assert message.status == "pending"
    assert gateway.happened[fault] == 2, "it is sent, and asked for at once"
    gateway.change({fault: 0.0})

    message = deliver(message)

    assert message.status == "success"
    assert len(gateway.book.texts()) == 1


def test_a_gateway_that_forgets_keys_is_asked_before_each_further_try(gateway):
    gateway.change({"forgetful": True, "cut": 1.0})
    message = deliver(message_of(an_award_of_points(NUMBER)))
    gateway.change({"cut": 0.0})

    deliver(message)

    assert len(gateway.book.texts()) == 1


@pytest.mark.parametrize(
    ("mode", "error", "may_have_acted"),
    [
        ({"busy": 1.0}, Unreachable, False),
        ({"fail": 1.0}, CallFailed, True),
        ({"refuse": [DIGITS]}, CallRefused, False),
        ({"hang": 1.0}, Unanswered, True),
    ],
)
def test_each_fault_has_its_own_error_and_says_whether_it_may_have_been_sent(gateway, mode, error, may_have_acted):
    gateway.change(mode)
    award = Award.objects.select_related("draw", "prize").get(pk=an_award_of_points(NUMBER).pk)

    with pytest.raises(error) as told:
        sms.text_winner(award, DIGITS, idempotency_key="key-1", language="en", ask_first=False)

    assert type(told.value) is error
    assert told.value.may_have_acted is may_have_acted
    assert "998877" not in str(told.value)


def test_a_gateway_that_is_away_spends_no_try_and_one_that_refuses_is_work_at_once(gateway, settings):
    message = message_of(an_award_of_points(NUMBER))
    settings.SMS_URL = "http://127.0.0.1:1"
    away = deliver(message)
    assert (away.status, away.attempt_limit - away.attempts) == ("pending", message.attempt_limit - message.attempts)

    settings.SMS_URL = gateway.url
    gateway.change({"refuse": [DIGITS]})
    refused = deliver(message)

    assert (refused.status, refused.exhausted_at is not None) == ("failed", True)
    assert "998877" not in refused.last_error


def test_after_a_day_it_comes_to_nothing_quietly(gateway):
    message = message_of(an_award_of_points(NUMBER))
    assert timedelta(hours=23) < message.expires_at - message.created_at <= timedelta(hours=24)
    let_pass(timedelta(hours=25), message.pk)

    rescan.rescan()

    message.refresh_from_db()
    assert gateway.book.texts() == []
    assert (message.status, message.exhausted_at) == ("failed", None)
    assert message.resolution == "overdue"


def test_an_award_that_was_taken_back_is_not_told_of(gateway):
    award = an_award_of_points(NUMBER)
    revoke(Award.objects.select_related("prize__campaign").get(pk=award.pk), actor="ada")

    assert message_of(award).resolution == "withdrawn"
    assert gateway.book.texts() == []


def test_what_was_said_with_the_gateway_is_kept_for_the_desk_until_the_winner_is_forgotten(gateway):
    message = deliver(message_of(an_award_of_points(NUMBER)))
    deliver_pending(ignore_waits=True)
    kept = Exchange.objects.get(message_id=message.pk)
    assert DIGITS in kept.request

    call_command("erase_person", NUMBER, reason="letter 12", actor="ada", yes=True, stdout=StringIO())

    rows = [str(row) for model in apps.get_models() for row in model._base_manager.using("default").values()]
    assert [row for row in rows if "998877" in row] == []


@pytest.mark.parametrize("body", [b"", b"[]", b'{"id": 7}', b'{"id": ""}', b"\xff", b"<html>"])
def test_an_answer_that_is_no_message_is_not_believed(settings, body):
    class Odd(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(201)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Odd)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    settings.SMS_URL, settings.SMS_ALLOWED_HOSTS = f"http://127.0.0.1:{server.server_port}", ["127.0.0.1"]
    award = Award.objects.select_related("draw", "prize").get(pk=an_award_of_points("anna").pk)

    with pytest.raises(CallFailed):
        sms.text_winner(award, DIGITS, idempotency_key="key-1", language="en", ask_first=False)
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("url", "hosts", "wrong"),
    [
        ("http://169.254.169.254", ["127.0.0.1"], "not in SMS_ALLOWED_HOSTS"),
        ("http://127.0.0.1", [], "not in SMS_ALLOWED_HOSTS"),
        ("http://user:secret@127.0.0.1", ["127.0.0.1"], "without a password"),
        ("file:///etc/passwd", [""], "must be http"),
    ],
)
def test_only_the_gateway_that_is_allowed_is_ever_called(settings, url, hosts, wrong):
    settings.SMS_URL, settings.SMS_ALLOWED_HOSTS = url, hosts

    with pytest.raises(ImproperlyConfigured, match=wrong):
        conf.sms_settings()


def test_in_the_reader_s_language(gateway):
    award = Award.objects.select_related("draw", "prize").get(pk=an_award_of_points(NUMBER, 50).pk)

    sms.text_winner(award, DIGITS, idempotency_key="key-1", language="zh-hans", ask_first=False)

    assert gateway.book.texts()[0].text.startswith("您中奖了")


def test_deliver_pending_reaches_every_one_of_them(gateway):
    award = an_award_of_points(NUMBER)

    deliver_pending(ignore_waits=True)

    assert message_of(award).status == "success"
