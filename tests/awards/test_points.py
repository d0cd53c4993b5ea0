"""Points: credited once, in the settling transaction."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from awards.channels import points as channel
from awards.consumers import issue_points
from awards.errors import AwardChanged
from awards.models import Award, AwardStatus, PointsAccount, PointsEntry
from awards.services.revoking import revoke
from outbox import Message, Reject, registry
from outbox.delivery import chunks
from tests.awards.given import an_award_of_points, message_of

pytestmark = pytest.mark.django_db(transaction=True)


def test_points_reach_the_account_and_the_award_is_issued():
    award = an_award_of_points("anna", 50)

    chunks.deliver("awards.issue_points", [message_of(award).pk])

    award.refresh_from_db()
    entry = PointsEntry.objects.get()
    assert (award.status, award.version, award.issued_at is not None) == (AwardStatus.ISSUED, 2, True)
    assert (entry.award_id, entry.account_id, entry.points) == (award.pk, "anna", 50)
    assert PointsAccount.objects.get().balance == 50
    assert message_of(award).status == "success"


def test_issuing_takes_four_statements_once_the_account_is_open():
    first, second = an_award_of_points("anna"), an_award_of_points("anna")
    issue_points(message_of(first))
    message = message_of(second)

    with transaction.atomic(), CaptureQueriesContext(connection) as statements:
        issue_points(message)

    verbs = [statement["sql"].split()[0] for statement in statements]
    assert verbs == ["SELECT", "UPDATE", "UPDATE", "INSERT"]
    assert PointsAccount.objects.get().balance == 100


def test_a_message_that_comes_twice_credits_once():
    award = an_award_of_points()
    message = message_of(award)

    issue_points(message)
    issue_points(message)

    assert PointsEntry.objects.count() == 1
    assert PointsAccount.objects.get().balance == 50


def test_the_ledger_itself_refuses_a_second_entry_for_an_award():
    award = an_award_of_points()
    issue_points(message_of(award))

    with pytest.raises(IntegrityError):
        PointsEntry.objects.create(account_id=award.person, award=award, points=50)


@pytest.mark.parametrize(
    ("status", "end", "said"),
    [(AwardStatus.REVOKED, "success", ""), (AwardStatus.EXPIRED, "failed", "is expired, so it must not be issued")],
)
def test_an_award_that_was_taken_back_is_not_credited(status, end, said):
    award = an_award_of_points()
    Award.objects.update(status=status)
    message = message_of(award)

    chunks.deliver("awards.issue_points", [message.pk])

    message.refresh_from_db()
    assert message.status == end
    assert said in message.last_error
    assert not PointsEntry.objects.exists()
    assert not PointsAccount.objects.exists()


def test_an_award_revoked_between_reading_and_crediting_is_not_credited():
    award = an_award_of_points()
    read_before = Award.objects.get(pk=award.pk)
    revoke(award, actor="ada")

    with pytest.raises(AwardChanged):
        channel.credit_points(read_before)

    assert not PointsAccount.objects.exists()


@pytest.mark.parametrize("key", ["999999", "no number"])
def test_a_message_about_no_award_is_rejected(key):
    message = message_of(an_award_of_points())
    message.key = key

    with pytest.raises(Reject, match="there is no award"):
        issue_points(message)


def test_the_key_decides_which_award_is_issued_even_if_the_payload_was_edited():
    first, second = an_award_of_points("anna"), an_award_of_points("bertha")
    message = message_of(first)
    message.payload = {"award": second.pk, "person": "bertha"}

    issue_points(message)

    assert list(PointsEntry.objects.values_list("award_id", "account_id")) == [(first.pk, "anna")]


@pytest.mark.parametrize("payload", [None, [], "text", {}, {"person": None}, {"person": ["x"]}])
def test_any_payload_can_be_put_in_order(payload):
    consumer = registry.get("awards.issue_points")

    assert isinstance(consumer.sort(Message(payload=payload)), str)


def test_two_workers_that_open_one_account_at_once_both_credit_it():
    awards = [an_award_of_points("anna", 10) for _ in range(6)]
    messages = [message_of(award) for award in awards]
    barrier = Barrier(len(messages))

    def deliver(message):
        try:
            barrier.wait(timeout=10)
            with transaction.atomic():
                issue_points(message)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(messages)) as pool:
        list(pool.map(deliver, messages))

    assert PointsAccount.objects.get().balance == 60
    assert PointsEntry.objects.count() == 6


def test_chunks_on_the_same_accounts_deliver_side_by_side():
    awards = [an_award_of_points(f"person {number % 3}", 10) for number in range(24)]
    ids = [message_of(award).pk for award in awards]
    barrier = Barrier(3)

    def deliver(offset):
        try:
            barrier.wait(timeout=10)
            chunks.deliver("awards.issue_points", ids[offset::3][::-1])
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(deliver, range(3)))
    chunks.deliver("awards.issue_points", ids)

    assert set(Message.objects.filter(pk__in=ids).values_list("status", flat=True)) == {"success"}
    assert sorted(PointsAccount.objects.values_list("balance", flat=True)) == [80, 80, 80]
