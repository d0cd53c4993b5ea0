"""The awards in Django's admin: campaigns are edited, ledgers are read."""

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from awards.admin.descriptions import describe_awards, mask_text
from awards.consumers import issue_points
from awards.models import Award, AwardStatus, Campaign, Prize
from tests.awards.given import a_campaign, an_award_of_a_gift, an_award_of_points, message_of, points

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
        "starts_at_0": "2026-09-01",
        "starts_at_1": "00:00",
        "ends_at_0": "2026-10-01",
        "ends_at_1": "00:00",
        "active": "on",
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
        {**form, "slug": "wrong", "ends_at_0": "2026-08-01", "prize_set-0-value": "1.5"},
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


def test_who_may_revoke_revokes_what_is_not_issued_and_is_told_about_the_rest(client, clerk):
    clerk.user_permissions.add(Permission.objects.get(codename="revoke_award"))
    waiting, issued = an_award_of_points(), an_award_of_points()
    issue_points(message_of(issued))

    page = client.post(
        reverse("admin:awards_award_changelist"),
        {"action": "revoke", "_selected_action": [waiting.pk, issued.pk]},
        follow=True,
    )

    assert dict(Award.objects.values_list("pk", "status")) == {
        waiting.pk: AwardStatus.REVOKED,
        issued.pk: AwardStatus.ISSUED,
    }
    assert "1 award was revoked." in page.content.decode()
    assert "1 award had been settled before" in page.content.decode()


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
    assert first.label == "50 points · a…@example.com"
    assert first.url == reverse("admin:awards_award_change", args=[award.pk])
    assert [(fact.label, fact.value) for fact in first.results] == [("Points credited", "50")]
    assert "anna" not in str(described)


@pytest.mark.parametrize(
    ("person", "shown"), [("anna@example.com", "a…@example.com"), ("Anna Maria", "A…"), ("王小明", "王…")]
)
def test_a_person_is_masked(person, shown):
    assert mask_text(person) == shown
