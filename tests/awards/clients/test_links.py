"""Links to draw by: signed, for one entitlement in one campaign, and valid until a time."""

import re
from datetime import timedelta

import pytest

from awards.clients.links import entitlement_of
from awards.errors import AccessRefused
from awards.models import Draw, Entitlement
from awards.models.campaign import Access
from tests.awards.clients.given import a_client, a_closed_campaign, a_link, an_entitlement
from tests.awards.given import a_campaign, a_draw, a_gift, points
from tests.awards.test_pages import text

pytestmark = pytest.mark.django_db

PAGE = "/campaigns/raffle/"


def form_on(page) -> dict[str, str]:
    return dict(re.findall(r'name="(request_id|link)" value="([^"]*)"', page.content.decode()))


def test_who_has_a_link_draws_once_as_the_person_that_it_was_given_to(client):
    campaign = a_closed_campaign()
    points(campaign)
    entitlement = an_entitlement(campaign)
    address = f"{PAGE}?link={a_link(entitlement)}"

    page = client.get(address)
    posted = client.post(PAGE, form_on(page))
    again = client.get(address)

    assert "You draw as a…@example.com ." in text(page)
    assert posted.url == f"/draws/{Draw.objects.get().public_id}/"
    entitlement.refresh_from_db()
    assert (entitlement.draw, entitlement.draw.person) == (Draw.objects.get(), "anna@example.com")
    assert "This right to a draw has been used." in text(again)
    assert posted.url in again.content.decode()
    assert form_on(again) == {}


def test_a_name_that_is_typed_in_beside_a_link_is_not_looked_at(client):
    campaign = a_closed_campaign()
    points(campaign)
    page = client.get(f"{PAGE}?link={a_link(an_entitlement(campaign))}")

    client.post(PAGE, {**form_on(page), "person": "mallory"})

    assert Draw.objects.get().person == "anna@example.com"


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("link_expired", lambda token: token),
        ("link_invalid", lambda token: token[:-1]),
        ("link_invalid", lambda token: token.replace(".", "a.", 1)),
        ("link_invalid", lambda token: "nonsense"),
        ("link_invalid", lambda token: token * 1_000),
    ],
)
def test_a_link_that_is_over_or_was_changed_is_refused(client, code, change):
    campaign = a_closed_campaign()
    points(campaign)
    valid = timedelta(seconds=-1) if code == "link_expired" else timedelta(hours=1)
    token = change(a_link(an_entitlement(campaign), valid=valid))

    with pytest.raises(AccessRefused) as refused:
        entitlement_of(token, campaign)
    page = client.post(PAGE, {"link": token, "request_id": "5ebafcbe-d455-4258-bd11-f86e53378776"})

    assert refused.value.code == code
    assert page.status_code == client.get(PAGE, {"link": token[:500]}).status_code == 403
    assert not Draw.objects.exists()


def test_the_link_of_another_campaign_is_refused(client):
    points(a_closed_campaign())
    other = a_closed_campaign("other")
    token = a_link(an_entitlement(other))

    page = client.post(PAGE, {"link": token, "request_id": "5ebafcbe-d455-4258-bd11-f86e53378776"})

    assert page.status_code == 403
    assert "This link is for another raffle." in text(page)
    assert not Draw.objects.exists()


def test_a_campaign_that_is_not_open_shows_no_form_and_says_how_one_gets_in(client):
    points(a_closed_campaign())

    page = client.get(PAGE)

    assert page.status_code == 200
    assert "open the link that you were given" in text(page)
    assert form_on(page) == {}


def test_who_is_signed_in_draws_under_the_account_s_name_where_the_campaign_says_so(client, django_user_model):
    campaign = a_closed_campaign(access="signed_in")
    points(campaign)
    client.force_login(django_user_model.objects.create_user("Anna@Example.com", password="x"))

    page = client.get(PAGE)
    client.post(PAGE, {**form_on(page), "person": "mallory"})

    assert Draw.objects.get().person == "anna@example.com"


def test_who_is_signed_in_needs_a_link_where_the_campaign_says_so(client, django_user_model):
    points(a_closed_campaign())
    client.force_login(django_user_model.objects.create_user("anna", password="x"))

    assert client.post(PAGE, {"request_id": "5ebafcbe-d455-4258-bd11-f86e53378776"}).status_code == 403


def test_an_account_without_a_name_to_draw_under_is_no_way_in_for_a_name_that_is_typed(
    client, django_user_model, settings
):
    settings.PERSON_FIELD = "email"
    points(a_closed_campaign(access="signed_in"))
    client.force_login(django_user_model.objects.create_user("anna", password="x", email=""))

    page = client.post(PAGE, {"person": "mallory", "request_id": "5ebafcbe-d455-4258-bd11-f86e53378776"})

    assert page.status_code == 403
    assert not Draw.objects.exists()


def test_an_open_campaign_says_that_it_is_open(client):
    points(a_closed_campaign(access="open"))

    assert "An open raffle" in text(client.get(PAGE))


def test_a_link_holds_no_person():
    entitlement = an_entitlement(a_closed_campaign())
    other = an_entitlement(entitlement.campaign, "bertha@example.com")

    assert len(a_link(entitlement)) == len(a_link(other))
    assert "anna" not in a_link(entitlement)


def test_a_taken_back_entitlement_is_no_way_in(client):
    campaign = a_closed_campaign()
    points(campaign)
    token = a_link(an_entitlement(campaign))
    form = form_on(client.get(f"{PAGE}?link={token}"))
    Entitlement.objects.withdraw()

    page = client.post(PAGE, form)

    assert page.status_code == 409
    assert "taken back" in text(page)


def test_a_draw_by_a_client_and_one_by_a_link_are_held_against_the_same_limit(client):
    campaign = a_closed_campaign(draws_per_person=1)
    points(campaign)
    a_client()
    a_draw(campaign, "anna@example.com")

    page = client.get(f"{PAGE}?link={a_link(an_entitlement(campaign))}")

    assert client.post(PAGE, form_on(page)).status_code == 409


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"starts_at": "2020-01-01T00:00:00Z", "ends_at": "2021-03-04T05:06:00Z"}, "This campaign is over."),
        ({"starts_at": "2098-03-04T05:06:00Z", "ends_at": "2099-01-01T00:00:00Z"}, "has not begun yet."),
        ({"active": False}, "switched off at the moment"),
    ],
    ids=["over", "not begun", "off"],
)
@pytest.mark.parametrize("access", [Access.OPEN, Access.LINK, Access.SIGNED_IN])
def test_where_nobody_can_draw_now_nobody_is_told_how_to(client, access, fields, said):
    points(a_campaign(access=access, **fields))

    for page in (client.get(PAGE), client.get(f"{PAGE}?link=wrong")):
        assert said in text(page)
        assert "To draw here" not in text(page)
        assert "This link" not in text(page)
        assert "anybody may draw" not in text(page)


def test_where_everything_is_won_nobody_is_told_to_open_a_link(client):
    a_gift(a_campaign(access=Access.LINK), stock=0)

    page = text(client.get(PAGE))

    assert "Sold out" in page
    assert "To draw here" not in page
