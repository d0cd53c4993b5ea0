"""What people are told of receipts: at a message, by health, in the metrics, at start-up."""

import pytest
from django.db.models.functions import Now

from outbox.admin.messages.detail import find_message
from outbox.admin.messages.diagnosis import diagnose
from outbox.checks.sources import check_sources
from outbox.conf import conf_problems
from outbox.maintenance import pruning
from outbox.models import AwaitedReceipt, Message, ReceiptCount
from outbox.monitoring.finding import What
from outbox.monitoring.metrics import exposition
from outbox.monitoring.receipts import judge_receipts, measure_receipts
from outbox.operate.messages import discard
from outbox.operate.wording import format_datetime
from tests.harness.clock import HOUR, set_back
from tests.harness.messages import set_message
from tests.outbox.external.receipts.conftest import come, receipt_of

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")

EXHAUSTED = {"status": "failed", "exhausted_at": Now(), "finished_at": Now(), "lease_until": None}


def said_of(message):
    return diagnose(find_message(message.pk).case)


def test_a_message_that_was_sent_says_until_when_its_receipt_is_waited_for(sent):
    message = sent()

    said = said_of(message)

    until = format_datetime(message.lease_until)
    assert said.happened == f"Sent to partner in attempt 1, waiting for the receipt until {until}."
    assert said.do.startswith("Nothing to do: without a receipt by then it is sent again under the same id")


def test_one_that_is_just_being_sent_is_with_its_worker(sent):
    assert "is under way at the worker worker" in said_of(sent(confirmed=False)).happened


def test_a_success_says_who_has_consumed_it(sent):
    message = sent()
    come(receipt_of(message))

    assert said_of(message).happened == "Consumed: partner has said so by a receipt."


def test_a_silent_receiver_is_the_reason_and_may_have_acted(sent):
    message = sent()
    set_message(message.pk, reason="no_receipt", attempt_limit=1, **EXHAUSTED)

    said = said_of(message)

    assert said.happened == "It was sent in 1 attempts, and for the last one no receipt came in time."
    assert "may have acted all the same" in said.means


def test_what_was_discarded_and_consumed_says_who_has_acted(sent):
    message = sent()
    receipt = receipt_of(message)
    set_message(message.pk, reason="no_receipt", attempt_limit=1, **EXHAUSTED)
    discard(message.pk, revision=0, actor="ada", reason="nobody wants it")

    come(receipt)

    said = said_of(message)
    assert said.happened == (
        "It was closed here (discarded), and partner has consumed it all the same (receipt: consumed in attempt 1)."
    )
    assert said.tone == "bad"


def test_forged_receipts_are_said_for_an_hour_and_counted_for_ever(sent):
    message = sent()
    come(receipt_of(message, secret="not the partner's"), receipt_of(message))

    [finding] = judge_receipts(measure_receipts())
    assert (finding.level.word, finding.what, finding.subject) == ("warning", What.RECEIPTS, "signature")
    assert finding.sentence.startswith("1 receipt was not believed: wrong signature. The last came ")
    assert f"(partner, message {message.pk}, attempt 1)" in finding.sentence

    set_back(2 * HOUR, ReceiptCount)

    assert list(judge_receipts(measure_receipts())) == []
    text = exposition().decode()
    assert 'outbox_receipts_total{outcome="signature"} 1.0' in text
    assert 'outbox_receipts_total{outcome="consumed"} 1.0' in text
    assert 'outbox_receipts_total{outcome="late"} 0.0' in text


def test_without_a_forward_that_waits_nothing_is_asked(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert measure_receipts() == ()


def test_receipts_that_nobody_signs_are_said_at_start_up(awaiting, configure):
    awaiting()
    assert [problem.id for problem in check_sources()] in ([], ["outbox.I004"])
    configure(RECEIVERS={})
    awaiting("test.other", receiver="other")

    [said] = [problem for problem in check_sources() if problem.id == "outbox.I005"]
    assert "receipts of 'other' are not signed" in said.msg


@pytest.mark.parametrize("secret", ["short", 17, None])
def test_a_secret_that_is_none_is_refused(configure, secret):
    configure(RECEIVERS={"partner": secret})

    [problem] = conf_problems()
    assert problem == 'OUTBOX["RECEIVERS"] must have secrets of 16 characters or more by name.'


def test_what_was_awaited_is_pruned_with_its_message(sent):
    message = sent()
    come(receipt_of(message))
    Message.objects.update(finished_at=Now() - 24 * 40 * HOUR)

    pruning.prune()

    assert not AwaitedReceipt.objects.exists()
    assert not Message.objects.exists()
