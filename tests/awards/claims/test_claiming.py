"""A gift waits for its winner: claimed in time it is issued, and where it goes is known to nobody else."""

import logging
from datetime import timedelta

import pytest
from django.core import mail

from awards.channels import vendor as vendor_channel
from awards.claims.claiming import claim, why_not_claimable
from awards.errors import ClaimExpired, NothingToClaim, VendorFailed
from awards.listeners import CLAIM_DUE
from awards.models import Award, AwardStatus, Claim, DailyStatistic, VendorOrder
from awards.services.revoking import revoke
from outbox import Message, Withdrawal
from outbox.testing import deliver_pending
from tests.awards.claims.given import ANNA, FORM, PERSONAL, a_claimable, let_time_pass, stock_of
from tests.awards.given import message_of
from tests.awards.test_pages import text

pytestmark = pytest.mark.django_db


def topics() -> set[str]:
    return set(Message.objects.values_list("topic", flat=True))


def test_a_gift_that_must_be_claimed_is_not_ordered_before():
    award = a_claimable()

    assert topics() == {"award.claimable.gift", CLAIM_DUE}
    assert award.claim_until - award.won_at == timedelta(days=7)
    due = Message.objects.get(topic=CLAIM_DUE)
    assert (due.payload, due.not_before >= award.claim_until - timedelta(seconds=5)) == ({"award": award.pk}, True)


def test_claimed_it_is_ordered_to_the_address_and_nothing_expires(vendor):
    award = a_claimable()

    first, again = claim(award, ANNA), claim(award, ANNA)
    deliver_pending(ignore_waits=True)

    award.refresh_from_db()
    due = Message.objects.get(topic=CLAIM_DUE)
    assert (first, again, award.status) == (True, False, AwardStatus.ISSUED)
    assert (due.status, due.resolution) == ("failed", "withdrawn")
    assert [order.wanted.recipient for order in vendor.book.everything()] == [
        "Anna Seltsam, Lindenallee 7, 04109 Leipzig, Germany, +49 341 998877"
    ]
    assert VendorOrder.objects.get().award == award


def test_it_is_counted_once_when_it_is_won_and_its_winner_is_told_twice(vendor):
    award = a_claimable()
    deliver_pending("awards.tell_claimable")
    deliver_pending("awards.count_claimable")
    counted = list(DailyStatistic.objects.values_list("won", flat=True))
    claim(award, ANNA)
    deliver_pending()

    assert counted == list(DailyStatistic.objects.values_list("won", flat=True)) == [1]
    assert "Say where to send it until" in mail.outbox[0].body
    assert "It is yours" in mail.outbox[1].body or "It has been issued." in mail.outbox[1].body


def test_after_its_time_it_is_neither_claimed_nor_said_to_be_expired_before_it_is(client):
    award = a_claimable()
    let_time_pass(award)

    with pytest.raises(ClaimExpired):
        claim(award, ANNA)
    page = text(client.get(f"/draws/{award.draw.public_id}/"))

    assert "That time is over." in page
    assert "Claim it" not in page
    assert not Claim.objects.exists()


def test_what_was_taken_back_cannot_be_claimed_and_its_messages_end_quietly():
    award = a_claimable(restock_revoked=True)

    done = revoke(award, actor="ada", reason="a test")

    with pytest.raises(NothingToClaim):
        claim(Award.objects.get(), ANNA)
    assert (done.issuing, done.may_be_issued, done.restocked) == (Withdrawal.WITHDRAWN, False, True)
    assert set(Message.objects.values_list("resolution", flat=True)) == {"withdrawn"}
    assert deliver_pending(ignore_waits=True) == []
    assert list(DailyStatistic.objects.values_list("won", "revoked")) == [(1, 1)]
    assert stock_of(award) == 3


def test_an_award_without_a_claim_is_none_to_claim():
    award = a_claimable()
    Award.objects.update(claim_until=None)

    refusal = why_not_claimable(Award.objects.with_clock().get(pk=award.pk))

    assert refusal is not None
    assert refusal.code == "nothing_to_claim"


def test_the_winner_s_page_takes_the_address_and_says_how_it_stands(client):
    award = a_claimable()
    page = f"/draws/{award.draw.public_id}/"

    before = text(client.get(page))
    posted = client.post(f"{page}claim/", FORM)
    after = text(client.get(page))

    assert "Not claimed yet" in before
    assert (posted.status_code, posted.url) == (302, page)
    assert "On its way" in after
    assert "Claim it" not in after
    assert Claim.objects.get().recipient == "Anna Seltsam, Lindenallee 7, 04109 Leipzig, Germany, +49 341 998877"


def test_a_second_address_is_not_taken_and_its_winner_is_told_so_with_where_the_gift_goes(client):
    award = a_claimable()
    page = f"/draws/{award.draw.public_id}/"
    client.post(f"{page}claim/", FORM)

    second = client.post(f"{page}claim/", {**FORM, "city": "Bonn"})

    assert second.status_code == 409
    said = text(second)
    assert "claimed for another address" in said
    assert "what you sent now was not taken" in said
    assert "please ask us" in said
    assert "It goes to A…, Leipzig, Germany" in said
    assert "Bonn" not in said
    assert "Lindenallee" not in said
    assert Claim.objects.get().city == "Leipzig"


def test_the_same_claim_sent_again_is_no_other(client):
    award = a_claimable()
    page = f"/draws/{award.draw.public_id}/"
    client.post(f"{page}claim/", FORM)

    again = client.post(f"{page}claim/", FORM)

    assert (again.status_code, again.url) == (302, page)


def test_the_page_says_where_a_claimed_gift_goes_before_and_after_it_is_issued(client, vendor):
    award = a_claimable()
    page = f"/draws/{award.draw.public_id}/"
    claim(award, ANNA)

    before = text(client.get(page))
    deliver_pending(ignore_waits=True)
    after = text(client.get(page))

    assert "On its way" in before
    assert "Issued" in after
    assert "It goes to A…, Leipzig, Germany" in before
    assert "It goes to A…, Leipzig, Germany" in after


def test_a_claim_that_comes_too_late_is_told_so(client):
    award = a_claimable()
    let_time_pass(award)

    page = client.post(f"/draws/{award.draw.public_id}/claim/", FORM)

    assert page.status_code == 409
    assert "The time to claim this prize is over." in text(page)


def test_the_address_to_which_a_claim_is_sent_leads_to_the_draw_s_page_when_it_is_opened(client):
    award = a_claimable()
    page = f"/draws/{award.draw.public_id}/"

    opened = client.get(f"{page}claim/")

    assert (opened.status_code, opened.url) == (302, page)


@pytest.mark.parametrize(
    ("field", "written", "said"),
    [
        ("name", "", "This field is required."),
        ("name", "12345", "Please write it in letters."),
        ("street", "Linden\u200ballee", "Please use characters that can be seen."),
        ("postcode", "?!", "This is no postcode."),
        ("postcode", "x" * 13, "at most 12 characters"),
        ("phone", "call me", "This is no telephone number."),
    ],
)
def test_an_address_to_which_nobody_could_deliver_is_refused(client, field, written, said):
    award = a_claimable()

    page = client.post(f"/draws/{award.draw.public_id}/claim/", {**FORM, field: written})

    assert page.status_code == 400
    assert said in text(page)
    assert Award.objects.get().is_unclaimed


def test_a_vendor_who_repeats_the_address_does_not_bring_it_to_the_desk(monkeypatch):
    def refuses(request, *, record):
        raise VendorFailed(f"the vendor answered 500 cannot deliver to {request.recipient}")

    monkeypatch.setattr(vendor_channel, "place_order", refuses)
    award = a_claimable()
    claim(award, ANNA)

    deliver_pending("awards.order_gift")

    error = message_of(award).last_error
    assert "cannot deliver to …" in error
    assert not any(secret in error for secret in PERSONAL)


def test_where_it_goes_stands_in_no_message_no_log_and_on_no_page_of_others(client, admin_client, vendor, caplog):
    caplog.set_level(logging.DEBUG)
    award = a_claimable()
    client.post(f"/draws/{award.draw.public_id}/claim/", FORM)
    message = message_of(award)
    pages = [
        admin_client.get(path).content.decode()
        for path in (
            f"/admin/awards/award/{award.pk}/change/",
            "/admin/awards/claim/",
            f"/admin/awards/claim/{award.pk}/change/",
            f"/admin/outbox/message/{message.pk}/change/",
        )
    ]
    pages.append(client.get(f"/draws/{award.draw.public_id}/").content.decode())
    deliver_pending()
    pages.append(str(list(Message.objects.values())))

    for secret in PERSONAL[1:]:
        assert not any(secret in page for page in pages), secret
    lines = [record.getMessage() for record in caplog.records if not record.name.startswith("django.db")]
    assert not any(secret in line for secret in PERSONAL[1:] for line in lines)
    assert "A…, Leipzig, Germany" in pages[2]
    assert repr(ANNA) == "Recipient(…)"
