"""An award's page: the whole chain, from the draw to what came of it."""

import re

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from awards.admin.descriptions import describe_awards
from awards.consumers import issue_points
from awards.models import Award, AwardStatus, VendorOrder
from outbox import Message
from tests.awards.admin.test_campaigns_in_the_admin import page_of, text
from tests.awards.given import (
    a_campaign,
    a_draw,
    a_gift,
    an_award_of_a_coupon,
    an_award_of_a_gift,
    an_award_of_points,
    hand_out,
    message_of,
)
from tests.awards.test_closed_by_hand import handle

pytestmark = pytest.mark.django_db


def test_the_chain_leads_from_the_draw_over_the_messages_to_the_points(desk, manager):
    manager.user_permissions.add(Permission.objects.get(codename="view_message"))
    award = an_award_of_points("anna@example.com", 50)
    issue_points(message_of(award))

    page = desk.get(page_of(award))

    links = re.findall(r'href="(/admin/[^"]+)"', page.content.decode())
    assert page_of(award.draw) in links
    assert page_of(award.pointsentry) in links
    assert {page_of(message) for message in Message.objects.filter(key=str(award.pk))} <= set(links)
    assert "Points credited: 50" in text(page)
    for consumer in ("awards.count_win", "awards.issue_points", "awards.tell_winner"):
        assert consumer in text(page)


def test_a_coupon_is_shown_masked_and_an_order_by_its_number(desk):
    coupon, gift = an_award_of_a_coupon(), an_award_of_a_gift()
    hand_out(coupon)
    VendorOrder.objects.create(award=gift, number="V-7", idempotency_key="key", sku="MUG-01")

    pages = desk.get(page_of(coupon)), desk.get(page_of(gift))

    assert "Coupon: ••••ABCD" in text(pages[0])
    assert "CODE-0001" not in pages[0].content.decode()
    assert "Vendor's order: V-7" in text(pages[1]).replace("&#x27;", "'")


def test_why_an_award_waits_is_said_in_the_chain(desk):
    award = an_award_of_a_coupon(codes=0)
    Message.objects.filter(pk=message_of(award).pk).update(last_error="Snooze: no free code is left for prize 7")

    page = text(desk.get(page_of(award)))

    assert "no free code is left for prize 7" in page
    assert "Nothing yet." in page


def test_without_the_desk_s_permission_the_messages_are_named_and_not_linked(desk):
    page = desk.get(page_of(an_award_of_points())).content.decode()

    assert "awards.issue_points" in page
    assert "/admin/outbox/message/" not in page


def test_an_award_whose_messages_were_removed_says_so(desk):
    award = an_award_of_points()
    Message.objects.all().delete()

    assert "settled long ago and have been removed" in text(desk.get(page_of(award)))


def test_an_award_that_waits_can_be_revoked_from_its_page_and_an_issued_one_cannot(desk):
    waiting, issued = an_award_of_points(), an_award_of_a_coupon()
    hand_out(issued)
    pages = [desk.get(page_of(award)) for award in (waiting, issued)]
    chosen = {"action": "revoke", "_selected_action": waiting.pk, "apply": "yes", "reason": "a test"}

    desk.post(reverse("admin:awards_award_changelist"), chosen)

    assert ["Revoke this award" in text(page) for page in pages] == [True, False]
    assert Award.objects.get(pk=waiting.pk).status == AwardStatus.REVOKED


@pytest.mark.parametrize("page", [True, False])
def test_whoever_has_revoked_from_an_award_s_page_comes_back_to_it(desk, page):
    award = an_award_of_points()
    chosen = {"action": "revoke", "_selected_action": award.pk, **({"from_page": "yes"} if page else {})}
    back = page_of(award) if page else reverse("admin:awards_award_changelist")

    asked = desk.post(reverse("admin:awards_award_changelist"), chosen).content.decode()
    done = desk.post(reverse("admin:awards_award_changelist"), {**chosen, "apply": "yes", "reason": "a test"})

    assert ('name="from_page"' in desk.get(page_of(an_award_of_points("ben"))).content.decode(), done.url) == (
        True,
        back,
    )
    assert ('<input type="hidden" name="from_page"' in asked) == page
    assert f'<a href="{back}">Back</a>' in asked


@pytest.mark.parametrize(
    ("fields", "said", "unsaid"),
    [
        ({}, "To be claimed until", "Nobody had claimed it by"),
        ({"status": "expired"}, "Nobody had claimed it by", "o be claimed until"),
        ({"status": "revoked", "reason": "a mistake"}, "Revoked, because : a mistake", "o be claimed until"),
        ({"status": "revoked"}, "Revoked", "o be claimed until"),
    ],
)
def test_what_came_of_what_must_be_claimed_is_the_truth(desk, fields, said, unsaid):
    campaign = a_campaign()
    a_gift(campaign, claim_days=3)
    award = a_draw(campaign).award
    Award.objects.filter(pk=award.pk).update(**fields)

    page = text(desk.get(page_of(award))).partition("What came of it")[2]

    assert said in page.replace("because:", "because :")
    assert unsaid not in page
    assert ("Nothing yet." in page) == (not fields)


@pytest.mark.django_db(transaction=True)
def test_one_that_was_issued_by_hand_is_named_and_the_others_are_revoked(desk):
    by_hand, waiting = an_award_of_points("anna"), an_award_of_points("bertha")
    handle(by_hand)
    chosen = {"action": "revoke", "_selected_action": [by_hand.pk, waiting.pk], "apply": "yes", "reason": "a test"}

    told = text(desk.post(reverse("admin:awards_award_changelist"), chosen, follow=True))

    assert f"Award {by_hand.public_id} stays: it was issued by hand" in told
    assert "1 award was revoked." in told
    assert Award.objects.get(pk=waiting.pk).status == AwardStatus.REVOKED
    assert "Revoke this award" not in text(desk.get(page_of(by_hand)))


def test_an_award_s_page_takes_a_fixed_number_of_queries(desk, django_assert_max_num_queries):
    award = an_award_of_points()
    issue_points(message_of(award))
    desk.get(page_of(award))

    with django_assert_max_num_queries(8):
        desk.get(page_of(award))


def test_the_desk_shows_the_coupon_masked_and_says_why_nobody_got_a_mail():
    named, coupon = an_award_of_points("Anna"), an_award_of_a_coupon()
    hand_out(coupon)
    messages = [message_of(named, "awards.tell_winner"), message_of(coupon), message_of(coupon, "awards.tell_winner")]

    described = describe_awards(messages)

    results = [[(fact.label, fact.value) for fact in described[message.pk].results] for message in messages]
    assert results == [
        [("Mail", "none; the winner gave a name and no e-mail address")],
        [("Coupon", "••••ABCD")],
        [("Coupon", "••••ABCD")],
    ]
