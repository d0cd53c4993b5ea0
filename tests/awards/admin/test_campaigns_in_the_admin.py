"""A campaign's page and list, as its manager uses them."""

import re
from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.urls import reverse

from awards.models import Campaign, Coupon, Prize
from awards.services import campaigns
from tests.awards.given import a_campaign, a_coupon_prize, a_draw, a_gift, points

pytestmark = pytest.mark.django_db

LIST = reverse("admin:awards_campaign_changelist")


def page_of(row) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def text(response) -> str:
    """Return what a page says, as one line."""
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def form_of(campaign: Campaign, *prizes: Prize, **changes) -> dict[str, str]:
    """Return what a browser would send that saves the campaign's page, with ``changes``."""
    fields = {
        "slug": campaign.slug,
        "name": campaign.name,
        "starts_at": f"{campaign.starts_at:%Y-%m-%dT%H:%M:%S}",
        "ends_at": f"{campaign.ends_at:%Y-%m-%dT%H:%M:%S}",
        "active": "on",
        "access": campaign.access,
        "losing_weight": str(campaign.losing_weight),
        "prize_set-TOTAL_FORMS": str(len(prizes)),
        "prize_set-INITIAL_FORMS": str(len(prizes)),
    }
    for number, prize in enumerate(prizes):
        for name in ("name", "kind", "value", "vendor_sku", "weight"):
            fields[f"prize_set-{number}-{name}"] = str(getattr(prize, name))
        fields[f"prize_set-{number}-id"] = str(prize.pk)
        fields[f"prize_set-{number}-campaign"] = str(campaign.pk)
    return {**fields, **changes}


def test_a_campaign_s_page_tells_chances_expected_values_and_what_is_at_stake(desk):
    campaign = a_campaign(losing_weight=50)
    points(campaign, 100, weight=30, stock=10)
    a_gift(campaign, name="Mug", weight=20, stock=4)

    said = text(desk.get(page_of(campaign)))

    assert "▶ running" in said
    assert "A draw gives away, on average 2.50 + 30 points" in said
    assert "At stake in all stocks 50.00 + 1,000 points" in said
    assert "A draw wins nothing 50.00 %" in said
    assert "100 points 30.00 % 10 1,000 points" in said
    assert "Mug 20.00 % 4 50.00" in said


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({}, "running"),
        ({"active": False}, "switched off"),
        ({"starts_at": timedelta(minutes=30)}, "not begun"),
        ({"ends_at": timedelta(minutes=-30)}, "over"),
    ],
)
def test_the_list_tells_how_each_campaign_stands_and_can_be_narrowed_to_that(desk, fields, state):
    a_campaign(**fields)
    filters = {"running": "running", "switched off": "off", "not begun": "not_begun", "over": "over"}

    listed = {name: "Raffle" in text(desk.get(LIST, {"phase": value})) for name, value in filters.items()}

    assert f"</span> {state}</span>" in desk.get(LIST).content.decode()
    assert listed == {name: name == state for name in filters}


def test_saving_a_campaign_never_writes_back_a_stock_that_draws_have_changed(desk):
    campaign = a_campaign()
    prize = a_gift(campaign, stock=5)
    form = form_of(campaign, prize, **{"prize_set-0-weight": "7", "prize_set-0-stock": "5"})
    a_draw(campaign)

    saved = desk.post(page_of(campaign), form)

    prize.refresh_from_db()
    assert saved.status_code == 302
    assert (prize.weight, prize.stock) == (7, 4)


def test_saving_writes_only_what_was_changed_even_between_reading_and_writing(desk, monkeypatch):
    campaign = a_campaign()
    prize = a_gift(campaign, stock=5)
    save = Prize.save

    def others_draw_meanwhile(row, *args, **kwargs):
        a_draw(campaign)
        save(row, *args, **kwargs)

    monkeypatch.setattr(Prize, "save", others_draw_meanwhile)
    desk.post(page_of(campaign), form_of(campaign, prize, **{"prize_set-0-weight": "7"}))
    prize_form = {"name": "Renamed", "kind": "gift", "value": "12.50", "vendor_sku": prize.vendor_sku, "weight": "7"}
    desk.post(page_of(prize), {**prize_form, "stockchange_set-TOTAL_FORMS": 0, "stockchange_set-INITIAL_FORMS": 0})

    prize.refresh_from_db()
    assert (prize.name, prize.weight, prize.stock) == ("Renamed", 7, 3)


def test_a_new_prize_is_given_its_stock_with_the_campaign(desk):
    campaign = a_campaign()
    form = form_of(campaign) | {
        "prize_set-TOTAL_FORMS": "1",
        "prize_set-0-name": "Voucher",
        "prize_set-0-kind": "coupon",
        "prize_set-0-value": "11",
        "prize_set-0-weight": "3",
        "prize_set-0-stock": "20",
    }

    desk.post(page_of(campaign), form)

    assert Prize.objects.get().stock == 20


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"prize_set-0-value": "1.5"}, "Points must be a whole number, at least 1."),
        ({"prize_set-0-vendor_sku": "MUG-01"}, "A gift needs the vendor&#x27;s article number"),
        ({"prize_set-0-kind": "gift"}, "A gift needs the vendor&#x27;s article number"),
        ({"prize_set-0-weight": "-1"}, "greater than or equal to 0"),
        ({"ends_at": "2020-01-01T00:00"}, "A campaign must end after it begins."),
        ({"slug": "with space"}, "such as summer-raffle-2026"),
        ({"draws_per_person": "0"}, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_is_said_at_its_field_and_nothing_is_saved(desk, changes, said):
    campaign = a_campaign()
    prize = points(campaign)

    answer = desk.post(page_of(campaign), form_of(campaign, prize, **changes))

    assert said in answer.content.decode()
    assert Prize.objects.get().kind == "points"


@pytest.mark.parametrize("used", ["won", "codes", "neither"])
def test_a_prize_that_was_won_or_has_codes_stays_of_its_kind(desk, used):
    campaign = a_campaign()
    prize = a_coupon_prize(campaign, codes=int(used == "codes"))
    if used == "won":
        a_draw(campaign)

    answer = desk.post(page_of(campaign), form_of(campaign, prize, **{"prize_set-0-kind": "points"}))

    assert ("its kind stays" in text(answer)) == (used != "neither")
    prize.refresh_from_db()
    assert prize.kind == ("points" if used == "neither" else "coupon")


def test_a_campaign_in_which_nothing_can_be_won_says_so(desk):
    campaign = a_campaign()
    a_gift(campaign, stock=0)

    assert "Nothing can be won" in text(desk.get(page_of(campaign)))


def test_a_pool_that_is_smaller_than_the_stock_is_warned_of(desk):
    campaign = a_campaign()
    prize = a_coupon_prize(campaign, codes=3, stock=10)

    assert "Cinema voucher: the pool lacks 7 codes" in text(desk.get(page_of(campaign)))
    assert "The pool lacks 7 codes" in text(desk.get(page_of(prize)))


def test_campaigns_are_switched_off_and_on_again_from_the_list(desk):
    both = [a_campaign("first"), a_campaign("second", active=False)]
    chosen = {"_selected_action": [campaign.pk for campaign in both]}

    off = desk.post(LIST, {"action": "switch_off", **chosen}, follow=True)
    states = list(Campaign.objects.values_list("active", flat=True))
    on = desk.post(LIST, {"action": "switch_on", **chosen}, follow=True)

    assert states == [False, False]
    assert "1 campaign was switched off." in text(off)
    assert "2 campaigns were switched on." in text(on)
    assert LogEntry.objects.count() == 3


def test_a_copy_has_the_prizes_and_neither_draws_nor_codes_and_is_switched_off(desk):
    campaign = a_campaign(losing_weight=3, draws_per_person=2, description="Once a year.")
    points(campaign, 50, weight=4)
    a_coupon_prize(campaign, codes=2, stock=2)
    a_draw(campaign)

    copied = desk.post(LIST, {"action": "copy", "_selected_action": [campaign.pk]})

    twin = Campaign.objects.exclude(pk=campaign.pk).get()
    assert copied.url == page_of(twin)
    assert (twin.slug, twin.name, twin.active) == ("raffle-2", "Raffle (2)", False)
    assert (twin.losing_weight, twin.draws_per_person, twin.description) == (3, 2, "Once a year.")
    columns = ("name", "kind", "weight", "value", "vendor_sku")
    assert list(Prize.objects.filter(campaign=twin).values(*columns).order_by("pk")) == list(
        Prize.objects.filter(campaign=campaign).values(*columns).order_by("pk")
    )
    assert not Coupon.objects.filter(prize__campaign=twin).exists()


def test_copies_of_copies_find_addresses_of_their_own_however_long_they_are():
    campaign = a_campaign("x" * 60, name="N" * 120)

    slugs = [campaigns.copy_campaign(campaign).slug for _ in range(11)]

    assert len(set(slugs)) == 11
    assert all(len(slug) <= 60 for slug in slugs)
    assert (slugs[0], slugs[-1]) == ("x" * 58 + "-2", "x" * 57 + "-12")


def test_nobody_deletes_what_people_have_drawn_in_or_won(desk, django_user_model, client):
    client.force_login(django_user_model.objects.create_superuser("root", password="x"))
    campaign, fresh = a_campaign(), a_campaign("fresh")
    prize = points(campaign)
    a_draw(campaign)

    refused = [client.post(page_of(row).replace("change", "delete"), {"post": "yes"}) for row in (campaign, prize)]
    deleted = client.post(page_of(fresh).replace("change", "delete"), {"post": "yes"})

    assert [answer.status_code for answer in refused] == [403, 403]
    assert deleted.status_code == 302
    assert list(Campaign.objects.all()) == [campaign]
    assert "delete_selected" not in client.get(LIST).content.decode()


def test_who_may_only_look_sees_the_figures_and_no_act(client, django_user_model):
    viewer = django_user_model.objects.create_user("vera", password="x", is_staff=True)
    codenames = ["view_campaign", "view_prize", "view_stockchange"]
    viewer.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client.force_login(viewer)
    campaign = a_campaign()
    prize = a_coupon_prize(campaign, codes=1, stock=1)

    listed, page, prize_page = client.get(LIST), client.get(page_of(campaign)), client.get(page_of(prize))
    acts = [client.get(reverse(f"admin:awards_prize_{act}", args=[prize.pk])) for act in ("stock", "codes")]
    client.post(LIST, {"action": "switch_off", "_selected_action": [campaign.pk]})

    assert "100.00 %" in text(page)
    assert "Switch off" not in text(listed)
    assert "takes the permission “awards.change_stock”" in text(prize_page)
    assert [answer.status_code for answer in acts] == [403, 403]
    assert Campaign.objects.get().active


def test_the_migrations_make_a_group_for_managers():
    make_group = import_module("awards.migrations.0001_initial").make_group
    Group.objects.filter(name="Campaign manager").delete()

    # Without entering it: SQLite alters tables only outside a transaction, and the migration asks for its alias.
    make_group(apps, connection.schema_editor(atomic=False))

    group = Group.objects.get(name="Campaign manager")
    assert group.permissions.filter(codename="change_stock").exists()
    assert not group.permissions.filter(content_type__app_label="outbox").exists()


def test_the_list_takes_the_same_number_of_queries_for_any_number_of_campaigns(desk, django_assert_max_num_queries):
    for number in range(6):
        points(a_campaign(f"raffle-{number}"), stock=3)
    desk.get(LIST)

    with django_assert_max_num_queries(8):
        desk.get(LIST)
