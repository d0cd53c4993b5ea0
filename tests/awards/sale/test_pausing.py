"""Which consumers rest while sales are on, and which go on when one is closed."""

import time
import uuid
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import OperationalError, transaction
from django.urls import reverse
from django.utils import timezone

from awards.models import Because, Campaign, Prize, Sale, SaleState, StockAct
from awards.sale import pausing
from awards.sale.running import close_sale, open_sale
from awards.services.campaigns import StockChangeRequest, change_stock
from outbox.models import AuditEntry, ConsumerState
from tests.awards.admin.conftest import desk, manager
from tests.awards.admin.test_campaigns_in_the_admin import form_of, page_of
from tests.awards.sale.given import a_queue, a_sale, press, settle
from tests.awards.test_draw_races import at_once

__all__ = ["desk", "manager"]

pytestmark = pytest.mark.django_db(transaction=True)

COUNTS, TELLS = "awards.count_win", "awards.tell_winner"
ADA = ("--reason=by phone", "--actor=ada")


def paused() -> dict[str, str]:
    """Return which consumers are paused, and by whom."""
    return dict(ConsumerState.objects.paused().order_by("pk").values_list("consumer", "paused_by"))


def until(name: str = COUNTS):
    return ConsumerState.objects.get(pk=name).paused_until


def opened(slug: str = "raffle", names: str = COUNTS, **fields) -> Campaign:
    """Make a campaign whose sale is open and has these consumers at rest."""
    campaign = a_queue(slug, sale={"paused_consumers": names}, **fields)
    open_sale(campaign.sale)
    return campaign


def close(campaign: Campaign) -> None:
    close_sale(campaign.sale, because=Because.CLOSED)


def edit(client, sale: Sale, names: str):
    form = {"stock_in": "database", "queues": "on", "burst": 1, "within": 30, "rate": "", "paused_consumers": names}
    return client.post(reverse("admin:awards_sale_change", args=[sale.pk]), form, follow=True)


def change_the_stock() -> None:
    with transaction.atomic():
        request = StockChangeRequest(act=StockAct.ADD, pieces=1, reason="more", request_id=uuid.uuid4())
        change_stock(Prize.objects.get(), request, actor="maria")


def test_what_a_sale_has_paused_goes_on_when_it_is_closed_whatever_it_names_by_then():
    campaign = opened()
    Sale.objects.update(paused_consumers="")

    close(campaign)

    assert paused() == {}


def test_a_list_that_is_changed_while_the_sale_is_open_acts_at_once(maria):
    campaign = opened()

    edit(maria, campaign.sale, TELLS)
    assert paused() == {TELLS: "flash sale"}
    edit(maria, campaign.sale, "")
    assert paused() == {}
    close(campaign)

    assert paused() == {}
    assert Sale.objects.get().at_rest is None


@pytest.mark.parametrize("act", ["close", "no act"])
def test_a_list_that_is_changed_while_the_sale_is_not_open_pauses_nothing(maria, act):
    campaign = a_queue()
    press(maria, campaign.sale, act)

    edit(maria, campaign.sale, TELLS)
    assert paused() == {}
    press(maria, campaign.sale, "open")

    assert paused() == {TELLS: "flash sale"}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("opens", [(0, 1), (1, 0)])
def test_what_two_sales_have_at_rest_goes_on_when_both_are_closed(order, opens):
    both = [
        a_queue("brief", sale={"paused_consumers": COUNTS}),
        a_queue("long", sale={"paused_consumers": COUNTS}, ends_at=timedelta(hours=9)),
    ]
    for number in opens:
        open_sale(both[number].sale)
    assert abs(until() - both[1].ends_at) < timedelta(minutes=1)

    close(both[order[0]])
    assert paused() == {COUNTS: "flash sale"}
    assert abs(until() - both[order[1]].ends_at) < timedelta(minutes=1), "until the one that goes on ends"
    close(both[order[1]])

    assert paused() == {}


def test_of_two_sales_that_are_closed_at_the_same_moment_one_is_the_last(monkeypatch):
    both = [opened("one"), opened("two", ends_at=timedelta(hours=9))]
    resume = pausing._resume

    def resume_slowly(*args):
        time.sleep(0.3)
        resume(*args)

    monkeypatch.setattr(pausing, "_resume", resume_slowly)

    assert at_once(*[lambda campaign=campaign: close(campaign) for campaign in both]) == [None, None]

    assert paused() == {}


@pytest.mark.services
def test_what_two_sales_pause_that_open_at_the_same_moment_rests_until_both_are_closed(monkeypatch):
    first, second = (a_queue(slug, sale={"paused_consumers": COUNTS}) for slug in ("first", "second"))
    own = pausing._said
    monkeypatch.setattr(pausing, "_said", lambda *args, **how: (time.sleep(0.3), own(*args, **how))[1])

    at_once(lambda: open_sale(first.sale), lambda: open_sale(second.sale))

    assert [sale.at_rest for sale in Sale.objects.order_by("pk")] == [[COUNTS], [COUNTS]]
    close(first)
    assert paused() == {COUNTS: "flash sale"}
    close(second)
    assert paused() == {}


def test_a_sale_that_cannot_pause_what_it_names_does_not_open(monkeypatch):
    campaign = a_queue(sale={"paused_consumers": COUNTS})

    def gone(*_args, **_how):
        raise OperationalError("the server has gone away")

    with monkeypatch.context() as away:
        away.setattr(pausing, "_said", gone)
        with pytest.raises(OperationalError):
            open_sale(campaign.sale)

    assert Sale.objects.get().state == SaleState.NEW
    assert open_sale(campaign.sale)
    assert paused() == {COUNTS: "flash sale"}


def test_an_end_that_was_mistyped_and_is_put_right_has_the_consumers_rest_again(desk):
    campaign = opened(starts_at=timedelta(days=-2))
    now = timezone.localtime().replace(microsecond=0, tzinfo=None)

    for hours in (-1, 5):
        form = form_of(campaign, Prize.objects.get(), ends_at=(now + timedelta(hours=hours)).isoformat())
        assert desk.post(page_of(campaign), form).status_code == 302
        assert paused() == ({} if hours < 0 else {COUNTS: "flash sale"})

    assert abs(until() - Campaign.objects.get().ends_at) < timedelta(minutes=1)


def test_a_sale_whose_campaign_is_over_has_nothing_at_rest_any_more():
    earlier, later = opened("earlier"), opened("later")
    Campaign.objects.filter(pk=earlier.pk).update(ends_at=Campaign.objects.with_clock().get(pk=earlier.pk).clock)

    close(later)

    assert paused() == {}


def test_what_a_person_resumes_during_a_sale_is_not_paused_again_by_a_prewarming(redis):
    a_sale(sale={"paused_consumers": f"{COUNTS}\n{TELLS}"})
    call_command("outbox_resume", COUNTS, *ADA)
    acts = AuditEntry.objects.count()

    for _ in range(3):
        change_the_stock()
        settle()
    call_command("sale", "raffle", "prewarm")

    assert Sale.objects.get().state == SaleState.OPEN
    assert paused() == {TELLS: "flash sale"}
    assert AuditEntry.objects.filter(action="pause").count() == 2
    assert AuditEntry.objects.exclude(action="stock").count() == acts


def test_a_sale_that_is_closed_and_opened_again_pauses_again(redis):
    campaign = a_sale(sale={"paused_consumers": COUNTS})

    close(campaign)
    assert paused() == {}
    open_sale(campaign.sale)
    settle()

    assert paused() == {COUNTS: "flash sale"}


def test_what_a_person_has_paused_is_neither_paused_anew_nor_resumed():
    call_command("outbox_pause", COUNTS, *ADA)
    campaign = opened(names=f"{COUNTS}\n{TELLS}")
    assert paused() == {COUNTS: "ada", TELLS: "flash sale"}
    call_command("outbox_pause", TELLS, *ADA)

    close(campaign)

    assert paused() == {COUNTS: "ada", TELLS: "ada"}


def test_consumers_rest_until_a_campaign_ends_that_goes_on_for_weeks():
    campaign = opened(ends_at=timedelta(days=40))

    assert abs(until() - campaign.ends_at) < timedelta(minutes=2)


@pytest.mark.parametrize("hours", [5, -1])
def test_consumers_rest_until_a_campaign_ends_whose_end_was_changed(desk, hours):
    campaign = opened(starts_at=timedelta(days=-2))
    day, hour = (timezone.localtime() + timedelta(hours=hours)).replace(microsecond=0).isoformat().split("T")

    form = form_of(campaign, Prize.objects.get(), ends_at=f"{day}T{hour[:8]}")
    assert desk.post(page_of(campaign), form).status_code == 302

    ends_at = Campaign.objects.get().ends_at
    assert ends_at != campaign.ends_at
    assert paused() == ({COUNTS: "flash sale"} if hours > 0 else {})
    assert hours < 0 or abs(until() - ends_at) < timedelta(minutes=1)
