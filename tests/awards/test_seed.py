import pytest
from django.core.management import call_command

from awards import selectors
from awards.management.vendor.modes import DISCONTINUED
from awards.models import Campaign, Prize

pytestmark = pytest.mark.django_db


def test_the_seed_makes_a_running_campaign_with_every_kind_of_prize(capsys):
    call_command("seed_awards")

    campaign = selectors.running_campaigns().get()
    assert campaign.slug == "summer-raffle"
    assert sorted(Prize.objects.filter(kind="points").values_list("value", flat=True)) == [10, 50, 500]
    assert Prize.objects.filter(kind="gift", stock__gt=0).count() == 3
    assert Prize.objects.get(vendor_sku=DISCONTINUED).kind == "gift"
    assert "made" in capsys.readouterr().out


def test_seeding_again_changes_nothing_not_even_what_was_edited_since():
    call_command("seed_awards")
    Campaign.objects.update(name="Edited")
    Prize.objects.update(weight=7)

    call_command("seed_awards")

    assert Campaign.objects.get().name == "Edited"
    assert set(Prize.objects.values_list("weight", flat=True)) == {7}
    assert Prize.objects.count() == 6
