"""The awards in Django's admin: campaigns are edited, ledgers are read."""

import re

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from awards.admin import exact_search
from awards.admin.descriptions import describe_awards, mask_text
from awards.consumers import issue_points
from awards.models import Award, AwardStatus, Campaign, PointsAccount, Prize, VendorOrder
from tests.awards.given import (
    a_campaign,
    an_award_of_a_coupon,
    an_award_of_a_gift,
    an_award_of_points,
    hand_out,
    message_of,
    points,
)

pytestmark = pytest.mark.django_db

LEDGERS = ["award", "draw", "pointsaccount", "pointsentry", "vendororder"]


@pytest.fixture
def clerk(django_user_model, client):
    """Somebody who may see awards, and is given more by a test."""
    user = django_user_model.objects.create_user("clerk", password="x", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_award"))
    client.force_login(user)
    return user


@pytest.mark.parametrize("ledger", LEDGERS)
def test_a_book_is_listed_searched_and_shown_but_never_changed(admin_client, ledger):
    award = an_award_of_points()
    issue_points(message_of(award))
    gift = an_award_of_a_gift()
    gift.vendororder = type(gift).vendororder.related.related_model.objects.create(
        award=gift, number="V-1", idempotency_key="key", sku="MUG-01"
    )
    row = {
        "award": award,
        "draw": award.draw,
        "pointsaccount": award.pointsentry.account,
        "pointsentry": award.pointsentry,
        "vendororder": gift.vendororder,
    }[ledger]
    change = reverse(f"admin:awards_{ledger}_change", args=[row.pk])

    listed = admin_client.get(reverse(f"admin:awards_{ledger}_changelist"), {"q": "anna@example.com"})
    shown = admin_client.get(change)
    saved = admin_client.post(change, {})
    added = admin_client.get(reverse(f"admin:awards_{ledger}_add"))
    deleted = admin_client.post(reverse(f"admin:awards_{ledger}_delete", args=[row.pk]), {"post": "yes"})

    assert (listed.status_code, shown.status_code) == (200, 200)
    assert (saved.status_code, added.status_code, deleted.status_code) == (403, 403, 403)
    assert type(row).objects.filter(pk=row.pk).exists()


def test_a_campaign_is_made_with_its_prizes_in_one_form(admin_client):
    form = {
        "slug": "autumn",
        "name": "Autumn",
        "starts_at": "2026-09-01T00:00",
        "ends_at": "2026-10-01T00:00",
        "active": "on",
        "access": "link",
        "losing_weight": "10",
        "prize_set-TOTAL_FORMS": "1",
        "prize_set-INITIAL_FORMS": "0",
        "prize_set-0-name": "50 points",
        "prize_set-0-kind": "points",
        "prize_set-0-value": "50",
        "prize_set-0-weight": "5",
    }

    made = admin_client.post(reverse("admin:awards_campaign_add"), form)
    wrong = admin_client.post(
        reverse("admin:awards_campaign_add"),
        {**form, "slug": "wrong", "ends_at": "2026-08-01T00:00", "prize_set-0-value": "1.5"},
    )

    assert made.status_code == 302
    assert Prize.objects.get(campaign__slug="autumn").value == 50
    assert "A campaign must end after it begins." in wrong.content.decode()
    assert "Points must be a whole number" in wrong.content.decode()
    assert not Campaign.objects.filter(slug="wrong").exists()


def test_a_gift_needs_an_article_number_and_points_have_none(admin_client):
    campaign = a_campaign()
    prize = points(campaign)
    page = admin_client.get(reverse("admin:awards_campaign_change", args=[campaign.pk]))

    form = page.context["adminform"].form.initial
    assert page.status_code == 200
    assert form["slug"] == "raffle"
    prize.kind = "gift"
    with pytest.raises(Exception, match="article number"):
        prize.full_clean()


def test_who_may_revoke_is_asked_why_and_told_about_what_could_not_be(client, clerk):
    clerk.user_permissions.add(Permission.objects.get(codename="revoke_award"))
    waiting, credited, spent = an_award_of_points("anna"), an_award_of_points("bertha"), an_award_of_points("carla")
    coupon = an_award_of_a_coupon()
    for award in (credited, spent):
        issue_points(message_of(award))
    hand_out(coupon)
    PointsAccount.objects.filter(pk="carla").update(balance=30)
    chosen = {"action": "revoke", "_selected_action": [each.pk for each in (waiting, credited, spent, coupon)]}
    address = reverse("admin:awards_award_changelist")

    asked = client.post(address, chosen)
    unsaid = client.post(address, {**chosen, "apply": "yes", "reason": ""})
    statuses = set(Award.objects.values_list("status", flat=True))
    page = client.post(address, {**chosen, "apply": "yes", "reason": "a test", "restock": "no"}, follow=True)

    assert "4 awards are chosen." in asked.content.decode()
    assert "Nothing was revoked. See below." in unsaid.content.decode()
    assert statuses == {"won", "issued"}
    assert dict(Award.objects.values_list("pk", "status")) == {
        waiting.pk: AwardStatus.REVOKED,
        credited.pk: AwardStatus.REVOKED,
        spent.pk: AwardStatus.ISSUED,
        coupon.pk: AwardStatus.ISSUED,
    }
    assert set(Award.objects.filter(status="revoked").values_list("reason", flat=True)) == {"a test"}
    for said in (
        "2 awards were revoked.",
        "50 points were taken back.",
        "only 30 of its 50 points are left in the account.",
        "1 award had been settled before",
    ):
        assert said in page.content.decode()


def test_who_may_not_revoke_is_not_offered_it_and_cannot_do_it(client, clerk):
    award = an_award_of_points()
    address = reverse("admin:awards_award_changelist")

    offered = client.get(address).content.decode()
    client.post(address, {"action": "revoke", "_selected_action": [award.pk]})

    assert "Revoke" not in offered
    assert Award.objects.get().status == AwardStatus.WON


def test_the_desk_is_told_which_award_who_won_it_and_what_came_of_it(django_assert_num_queries):
    award, gift = an_award_of_points("anna@example.com"), an_award_of_a_gift()
    issue_points(message_of(award))
    messages = [message_of(award), message_of(gift)]

    with django_assert_num_queries(1):
        described = describe_awards(messages)

    first = described[messages[0].pk]
    assert first.label == f"50 points · {mask_text('anna@example.com')}"
    assert first.url == reverse("admin:awards_award_change", args=[award.pk])
    assert [(fact.label, fact.value) for fact in first.results] == [("Points credited", "50")]
    assert "anna" not in str(described)


@pytest.mark.parametrize(
    ("person", "shown"), [("anna@example.com", "a…@example.com"), ("Anna Maria", "A…"), ("王小明", "王…")]
)
def test_a_person_is_masked(person, shown):
    assert re.fullmatch(rf"{re.escape(shown)} #[0-9a-f]{{3}}", mask_text(person))


def test_two_people_with_the_same_letter_are_told_apart():
    people = ["anna@example.com", "adam@example.com", "alan@example.com"]

    assert len({mask_text(person) for person in people}) == 3
    assert mask_text(people[0]) == mask_text(people[0])


def test_the_desk_finds_the_messages_of_an_award_by_its_number_its_person_and_the_vendor_s_order(admin_client):
    award, gift = an_award_of_points("Anna@Example.com"), an_award_of_a_gift("MUG-02")
    VendorOrder.objects.create(award=gift, number="V-1", idempotency_key="key", sku="MUG-02")
    other = an_award_of_points("ben@example.com")

    def found(text):
        page = admin_client.get(reverse("admin:outbox_message_changelist"), {"q": text})
        return {message.key for message, _subject in page.context["rows"]}

    assert found(str(award.public_id)) == {str(award.pk)}
    assert found(" ANNA@example.com ") == {str(award.pk), str(gift.pk)}
    assert found("V-1") == {str(gift.pk)}
    assert found("ben@example.com") == {str(other.pk)}
    assert found("V-") == found("ann") == found("\0") == set()


@pytest.mark.parametrize("ledger", LEDGERS)
def test_no_list_of_a_ledger_counts_the_table_or_searches_past_its_index(ledger, admin_client, monkeypatch):
    for n in range(4):
        issue_points(message_of(an_award_of_points(f"anna{n}@example.com")))
    monkeypatch.setattr(exact_search, "ROWS_COUNTED", 3)
    address = reverse(f"admin:awards_{ledger}_changelist")

    with CaptureQueriesContext(connection) as queries:
        listed = admin_client.get(address)
        for text in ("Anna1@Example.com", str(Award.objects.earliest("pk").public_id), "\u202e", "9" * 5000, "\0"):
            assert admin_client.get(address, {"q": text}).status_code == 200

    said = [query["sql"] for query in queries]
    assert [sql for sql in said if "UPPER(" in sql or "LIKE" in sql] == []
    assert [sql for sql in said if "COUNT(" in sql and "LIMIT" not in sql] == []
    assert ("The newest 3 are listed" in listed.text) == (ledger != "vendororder")


def test_a_ledger_finds_a_person_as_draws_keep_them_and_an_award_by_its_number(admin_client):
    award = an_award_of_points("anna@example.com")
    issue_points(message_of(award))
    an_award_of_points("ben@example.com")

    def found(ledger, text):
        return len(
            admin_client.get(reverse(f"admin:awards_{ledger}_changelist"), {"q": text}).context["cl"].result_list
        )

    assert {ledger: found(ledger, " ANNA@example.com ") for ledger in LEDGERS[:4]} == dict.fromkeys(LEDGERS[:4], 1)
    assert [found(ledger, str(award.public_id)) for ledger in ("award", "pointsentry")] == [1, 1]
    assert found("draw", str(award.draw.public_id)) == 1
