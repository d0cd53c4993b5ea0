import pytest
from django.core.management import call_command

from awards.fake_vendor.modes import DISCONTINUED
from awards.models import Campaign, Coupon, Prize
from awards.selectors import awards as selectors
from awards.selectors.campaign_report import report_campaign

pytestmark = pytest.mark.django_db


def test_the_seed_makes_a_running_campaign_with_every_kind_of_prize(capsys):
    call_command("seed_awards")

    campaign = selectors.running_campaigns().get()
    assert campaign.slug == "summer-raffle"
    assert sorted(Prize.objects.filter(kind="points").values_list("value", flat=True)) == [10, 50, 500]
    assert Prize.objects.filter(kind="gift", stock__gt=0).count() == 3
    assert Prize.objects.get(vendor_sku=DISCONTINUED).kind == "gift"
    assert "made" in capsys.readouterr().out


def test_there_is_a_code_for_every_voucher_in_stock_so_that_a_demo_comes_to_its_end():
    call_command("seed_awards", stock=30)

    voucher = Prize.objects.get(kind="coupon")
    assert (voucher.stock, Coupon.objects.free().filter(prize=voucher).count()) == (30, 30)
    assert [line.codes_missing for line in report_campaign(voucher.campaign).lines] == [0] * 7


def test_an_empty_pool_can_be_asked_for():
    call_command("seed_awards", stock=30, empty_pool=True)

    assert not Coupon.objects.exists()
    assert {line.prize.name: line.codes_missing for line in report_campaign(Campaign.objects.get()).lines}[
        "Cinema voucher"
    ] == 30


def test_seeding_again_changes_nothing_not_even_what_was_edited_since():
    call_command("seed_awards", stock=5)
    Campaign.objects.update(name="Edited")
    Prize.objects.update(weight=7)
    Coupon.objects.first().delete()

    call_command("seed_awards", stock=5)

    assert Campaign.objects.get().name == "Edited"
    assert set(Prize.objects.values_list("weight", flat=True)) == {7}
    assert Prize.objects.count() == 7
    assert Coupon.objects.count() == 4
