"""What managers type in: nothing that is not seen, or that turns the direction of what is."""

import sys
import uuid

import pytest
from django.forms import modelform_factory
from django.urls import reverse

from awards.admin.forms import CampaignForm
from awards.characters import JOINERS, LINE_ENDS, find_invisible
from awards.models import Campaign, Prize, StockChange
from outbox.operate.text_checks import is_invisible
from tests.awards.admin.test_campaigns_in_the_admin import form_of, page_of, text
from tests.awards.given import a_campaign, a_gift

pytestmark = pytest.mark.django_db

TURNED = "Summer \u202eeffar"
SAID = "Take out the character U+202E: it is not seen, or turns the direction of writing."


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("Zoë 王小明 Ёлкина محمد", ""),
        ("an\u200bna", "\u200b"),
        ("anna\u3164", "\u3164"),
        ("first\r\n\tsecond", ""),
        ("می\u200cخواهم 👨\u200d👩", ""),
        ("first\u2028second", "\u2028"),
    ],
)
def test_texts_of_all_scripts_are_let_through_and_what_is_not_seen_is_found(written, found):
    assert find_invisible(written, but=JOINERS | LINE_ENDS) == found


@pytest.mark.parametrize("field", ["name", "description", "prize_set-0-name", "prize_set-0-vendor_sku"])
def test_a_campaign_is_not_saved_with_a_text_that_reads_otherwise_than_it_is(desk, field):
    campaign = a_campaign()
    mug = a_gift(campaign)

    page = desk.post(page_of(campaign), form_of(campaign, mug, **{field: TURNED}))

    assert page.status_code == 200
    assert SAID in text(page)
    assert Campaign.objects.get().name == campaign.name
    assert Prize.objects.get().name == mug.name


def test_a_description_may_have_lines_and_a_name_may_not():
    form_class = modelform_factory(Campaign, form=CampaignForm, fields=["name", "description"])
    form = form_class({"name": "one\ttwo", "description": "one\r\ntwo\u200d"})

    assert form.errors["name"] == ["Take out the character U+0009: it is not seen, or turns the direction of writing."]
    assert "description" not in form.errors


def test_a_stock_is_not_changed_for_a_reason_that_reads_otherwise_than_it_is(desk):
    mug = a_gift(a_campaign(), stock=3)
    form = {"request_id": uuid.uuid4(), "act": "add", "pieces": "5", "reason": TURNED}

    page = desk.post(reverse("admin:awards_prize_stock", args=[mug.pk]), form)

    assert SAID in text(page)
    assert not StockChange.objects.exists()


def test_the_business_and_the_desk_agree_on_what_nobody_sees():
    everything = [chr(code) for code in range(sys.maxunicode + 1)]

    assert [each for each in everything if find_invisible(each)] == [each for each in everything if is_invisible(each)]
