"""Every rule of every table that is edited in the admin is said by the form, in words, and never by a page of error."""

from collections.abc import Callable

import pytest
from django.contrib import admin
from django.test import Client, RequestFactory
from django.urls import reverse

from awards.admin.whole_rows import SecondLook, WholeRowForm, fields_of
from awards.errors import FallbackHasNoStock
from awards.models import Prize, Sale, StockAct, StockChange
from tests.awards.admin.test_acts_on_a_prize import at, stock_form
from tests.awards.admin.test_campaigns_in_the_admin import form_of, page_of, text
from tests.awards.admin.test_stock import change
from tests.awards.clients.given import an_entitlement
from tests.awards.given import a_campaign, a_gift, points

pytestmark = pytest.mark.django_db

Answer = Callable[[Client], object]
FALLBACK = "What is given when nothing else is left has no stock and no limits."
ANOTHER = "Another prize of this campaign is given already when nothing else is left."
CLAIMED = "Only gifts are claimed, within 1 to 365 days."
SOLD = {"burst": "1", "within": "30", "rate": "", "paused_consumers": ""}
NO_FORM = {"awards_sale_state", "awards_entitlement_used"}
"""Rules of fields that no form has."""
OWN_PAGES = {"entitlementimport"}
"""What is added on a page of its own, whose form is of no table."""


def prize_form(prize: Prize, **changes: object) -> dict[str, object]:
    """Return what a browser would send that saves a prize's own page, with ``changes``."""
    names = ("name", "kind", "value", "vendor_sku", "weight", "starts_at", "ends_at", "wins_per_day", "claim_days")
    form = {name: getattr(prize, name) if getattr(prize, name) is not None else "" for name in names}
    book = {"stockchange_set-TOTAL_FORMS": 0, "stockchange_set-INITIAL_FORMS": 0}
    return {**form, "returns_to_stock": "on", **book, **changes}


def of_a_campaign(**changes: str) -> Answer:
    def save(desk: Client) -> object:
        campaign = a_campaign()
        return desk.post(page_of(campaign), form_of(campaign, **changes))

    return save


def of_a_prize_in_its_campaign(prize: dict[str, object], **changes: str) -> Answer:
    def save(desk: Client) -> object:
        campaign = a_campaign()
        kept = a_gift(campaign, **prize)
        changed = {f"prize_set-0-{name}": value for name, value in changes.items()}
        return desk.post(page_of(campaign), form_of(campaign, kept, **changed))

    return save


def of_a_prize(prize: dict[str, object] | None = None, **changes: object) -> Answer:
    def save(desk: Client) -> object:
        kept = a_gift(a_campaign(), **(prize or {}))
        return desk.post(page_of(kept), prize_form(kept, **changes))

    return save


def of_a_second_prize(first: dict[str, object], **changes: object) -> Answer:
    def save(desk: Client) -> object:
        campaign = a_campaign()
        points(campaign, **first)
        kept = a_gift(campaign)
        return desk.post(page_of(kept), prize_form(kept, **changes))

    return save


def of_a_new_prize(**fields: str) -> Answer:
    def save(desk: Client) -> object:
        campaign = a_campaign()
        given = {"name": "Mug", "kind": "points", "value": "5", "weight": "1", **fields}
        added = {f"prize_set-0-{name}": value for name, value in given.items()}
        return desk.post(page_of(campaign), form_of(campaign, **{**added, "prize_set-TOTAL_FORMS": "1"}))

    return save


def of_a_sale(sale: dict[str, str] | None = None, **changes: str) -> Answer:
    def save(desk: Client) -> object:
        kept = Sale.objects.create(campaign=a_campaign(), **(sale or {}))
        return desk.post(page_of(kept), {**SOLD, "stock_in": kept.stock_in, **changes})

    return save


def new(model: str, **form: object) -> Answer:
    return lambda desk: desk.post(reverse(f"admin:awards_{model}_add"), form)


def of_an_entitlement(**changes: str) -> Answer:
    def save(desk: Client) -> object:
        known = an_entitlement(a_campaign())
        form = {"campaign": known.campaign_id, "person": "bertha", "source": known.source, "expires_at": "", **changes}
        return desk.post(reverse("admin:awards_entitlement_add"), form)

    return save


def of_a_block_twice(desk: Client) -> object:
    block = new("block", kind="person", subject="dora", reason="a bot", until="")
    block(desk)
    return block(desk)


BROKEN: dict[str, list[tuple[Answer, str, str]]] = {
    "awards_campaign_ends_after_start": [
        (of_a_campaign(ends_at="2020-01-01T00:00"), "ends_at", "A campaign must end after it begins.")
    ],
    "awards_campaign_limit": [(of_a_campaign(draws_per_person="0"), "draws_per_person", "greater than or equal to 1")],
    "awards_campaign_limits": [(of_a_campaign(draws_per_day="0"), "draws_per_day", "greater than or equal to 1")],
    "awards_campaign_access": [(of_a_campaign(access="x"), "access", "Select a valid choice.")],
    "awards_campaign_open": [
        (of_a_campaign(needs_entitlement="on"), "needs_entitlement", "In an open campaign anybody could use up")
    ],
    "awards_prize_name_once": [
        (
            of_a_second_prize({"name": "Known"}, name="Known"),
            "name",
            "with this Campaign and Name already exists.",
        ),
    ],
    "awards_prize_kind": [(of_a_prize(kind="x"), "kind", "Select a valid choice.")],
    "awards_prize_stock": [(of_a_new_prize(stock="-1"), "stock", "greater than or equal to 0")],
    "awards_prize_value": [(of_a_prize(value="-1"), "value", "greater than or equal to 0")],
    "awards_prize_whole_points": [(of_a_new_prize(value="1.5"), "value", "Points must be a whole number, at least 1.")],
    "awards_prize_span": [
        (
            of_a_prize(starts_at="2026-05-02T00:00", ends_at="2026-05-01T00:00"),
            "ends_at",
            "It must be won from an earlier time than until when.",
        )
    ],
    "awards_prize_limits": [(of_a_prize(wins_per_day="0"), "wins_per_day", "greater than or equal to 1")],
    "awards_prize_fallback": [
        (of_a_prize({"stock": 5}, is_fallback="on"), "is_fallback", FALLBACK),
        (of_a_prize({"is_fallback": True}, is_fallback="on", wins_per_day="3"), "wins_per_day", FALLBACK),
    ],
    "awards_prize_fallback_once": [
        (of_a_second_prize({"is_fallback": True}, is_fallback="on"), "is_fallback", ANOTHER)
    ],
    "awards_prize_claim": [
        (of_a_prize(kind="points", vendor_sku="", value="5", claim_days="7"), "claim_days", CLAIMED),
        (of_a_prize_in_its_campaign({"claim_days": 7}, kind="points", value="5", vendor_sku=""), "kind", CLAIMED),
    ],
    "awards_prize_sku": [(of_a_new_prize(kind="gift"), "kind", "A gift needs the vendor's article number")],
    "awards_sale_stock_in": [(of_a_sale(stock_in="x"), "stock_in", "Select a valid choice.")],
    "awards_sale_rate": [(of_a_sale(rate="0"), "rate", "greater than or equal to 1")],
    "awards_sale_within": [(of_a_sale(within="0"), "within", "greater than or equal to 1")],
    "awards_sale_queues": [
        (
            of_a_sale({"state": "open", "stock_in": "redis"}, queues="on"),
            "queues",
            "Draws that wait in a queue take their pieces from the database.",
        )
    ],
    "awards_entitlement_source_once": [(of_an_entitlement(), "source", "already exists")],
    "awards_entitlement_named": [(of_an_entitlement(person=" "), "person", "This field is required.")],
    "awards_block_once": [(of_a_block_twice, "subject", "already exists")],
    "awards_block_kind": [(new("block", kind="x", subject="dora", reason="x"), "kind", "Select a valid choice.")],
    "awards_client_rate": [(new("apiclient", name="Shop", rate="0"), "rate", "greater than or equal to 1")],
}
EACH = [pytest.param(*broken, id=rule) for rule, ways in BROKEN.items() for broken in ways]


def edited() -> list[admin.ModelAdmin]:
    """Return what the admin has of ours."""
    return [each for model, each in admin.site._registry.items() if model._meta.app_label in ("awards", "outbox")]


@pytest.mark.parametrize(("answer", "field", "said"), EACH)
def test_what_a_table_refuses_is_said_at_the_field_that_was_changed(desk, answer, field, said):
    page = answer(desk)

    assert page.status_code == 200
    forms = [
        page.context["adminform"].form,
        *(each for one in page.context["inline_admin_formsets"] for each in one.formset),
    ]
    told = {name: " ".join(errors) for form in forms for name, errors in form.errors.items()}
    assert said in told.get(field, told)


def test_every_rule_of_a_table_that_is_edited_is_among_these():
    rules = {
        rule.name for each in edited() if issubclass(each.form, WholeRowForm) for rule in each.model._meta.constraints
    }
    rules |= {rule.name for rule in Prize._meta.constraints}

    assert rules == BROKEN.keys() | NO_FORM


def test_a_rule_that_no_form_can_break_is_about_nothing_that_a_form_has():
    rules = {rule.name: (each, rule) for each in edited() for rule in each.model._meta.constraints}

    for name in NO_FORM:
        each, rule = rules[name]
        assert not fields_of(rule) & set(each.form.base_fields)


def test_whatever_is_edited_in_the_admin_is_edited_by_such_a_form(django_user_model):
    request = RequestFactory().get("/")
    request.user = django_user_model.objects.create_superuser("root", password="x")

    without = {
        each.opts.model_name
        for each in edited()
        if (each.has_add_permission(request) or each.has_change_permission(request))
        and not (issubclass(each.form, WholeRowForm) and isinstance(each, SecondLook))
    }

    assert without == OWN_PAGES


def test_a_limit_is_not_set_on_what_is_given_when_nothing_else_is_left(desk):
    prize = points(a_campaign(), is_fallback=True)

    page = desk.post(at("stock", prize), stock_form("limit", 5))

    assert page.status_code == 200
    assert "so it has no stock" in text(page)
    with pytest.raises(FallbackHasNoStock):
        change(prize, StockAct.LIMIT, 5)
    assert not StockChange.objects.exists()


def test_what_somebody_writes_between_the_look_and_the_writing_is_said_by_a_second_look(desk, monkeypatch):
    campaign = a_campaign()
    kept = a_gift(campaign)
    points(campaign, is_fallback=True)
    look, looks = WholeRowForm.hold_against_the_table, []

    def look_once_too_early(form):
        looks.append(form)
        if len(looks) > 1:
            look(form)

    monkeypatch.setattr(WholeRowForm, "hold_against_the_table", look_once_too_early)

    page = desk.post(page_of(kept), prize_form(kept, is_fallback="on"))

    assert (page.status_code, len(looks)) == (200, 2)
    assert ANOTHER in text(page)
