"""The managers' pages about who may draw: clients and their keys, entitlements, lists of them, and blocks."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from awards.clients.imports import begin_import
from awards.clients.keys import client_of
from awards.clients.links import entitlement_of
from awards.errors import KeyRevoked
from awards.models import ApiClient, Block, Campaign, Entitlement, EntitlementImport, Refusal, Scope
from outbox.testing import deliver_pending
from tests.awards.admin.test_campaigns_in_the_admin import form_of, page_of, text
from tests.awards.clients.given import a_client, a_closed_campaign, an_entitlement
from tests.awards.given import a_campaign, points

pytestmark = pytest.mark.django_db

CLIENTS = reverse("admin:awards_apiclient_changelist")
IMPORT = reverse("admin:awards_entitlementimport_add")


def make(desk, **fields):
    form = {"name": "Shop", "scopes": ["draw", "entitle"], "rate": "600", **fields}
    return desk.post(reverse("admin:awards_apiclient_add"), form)


def test_a_key_is_shown_once_and_works(desk):
    page = make(desk)

    key = re.search(r"mga_[\w-]{43}", page.content.decode()).group()
    client = client_of(f"Bearer {key}", Scope.ENTITLE)
    assert "no-store" in page["Cache-Control"]
    assert (client.name, client.made_by, client.rate) == ("Shop", "maria", 600)
    assert key not in desk.get(page_of(client)).content.decode()
    assert key not in desk.get(CLIENTS).content.decode()


def test_a_client_s_pace_is_changed_and_its_key_revoked_for_good(desk):
    client, key = a_client()

    desk.post(page_of(client), {"name": client.name, "scopes": ["entitle"], "rate": "5"})
    client.refresh_from_db()
    changed = (client.scopes, client.rate)
    asked = text(desk.get(reverse("admin:awards_apiclient_revoke", args=[client.pk])))
    done = desk.post(reverse("admin:awards_apiclient_revoke", args=[client.pk]), follow=True)

    assert done.redirect_chain == [(page_of(client), 302)]
    assert changed == (["entitle"], 5)
    assert "The key is never valid again" in asked
    with pytest.raises(KeyRevoked):
        client_of(key, Scope.ENTITLE)
    assert ApiClient.objects.get().revoked_by == "maria"


def test_who_only_sees_clients_makes_and_revokes_none(client, django_user_model):
    user = django_user_model.objects.create_user("vera", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_apiclient"))
    client.force_login(user)
    shop, _key = a_client()

    assert client.get(CLIENTS).status_code == 200
    assert make(client).status_code == 403
    assert client.post(reverse("admin:awards_apiclient_revoke", args=[shop.pk])).status_code == 403
    assert ApiClient.objects.active().count() == 1


def test_a_manager_gives_a_right_sees_its_link_and_takes_it_back(desk):
    campaign = a_closed_campaign(ignores_tags=True)
    form = {"campaign": campaign.pk, "person": "Anna+x@Example.com", "source": "by phone", "expires_at": ""}

    desk.post(reverse("admin:awards_entitlement_add"), form)
    given = Entitlement.objects.get()
    shown = text(desk.get(page_of(given)))
    action = {"action": "take_back", "_selected_action": [given.pk]}
    desk.post(reverse("admin:awards_entitlement_changelist"), action)

    assert (given.person, given.given_by) == ("anna@example.com", "maria")
    assert f"http://testserver/campaigns/raffle/?link={given.public_id.hex}." in shown
    assert "✕ taken back" in text(desk.get(reverse("admin:awards_entitlement_changelist")))
    assert "?link=" not in text(desk.get(page_of(given)))


def test_a_right_is_not_given_twice_for_one_thing(desk):
    given = an_entitlement(a_closed_campaign())
    form = {"campaign": given.campaign_id, "person": "bertha", "source": given.source, "expires_at": ""}

    page = desk.post(reverse("admin:awards_entitlement_add"), form)

    assert "already exists" in text(page)
    assert Entitlement.objects.count() == 1


@pytest.mark.parametrize("way", ["pasted", "file"])
def test_a_list_is_taken_and_its_page_says_how_far_it_is(desk, way):
    campaign = a_closed_campaign()
    listed = "person,source\nanna@example.com,order 1\nbertha,order 2\n"
    form = {"campaign": campaign.pk, "expires_at": ""}
    form |= {"listed": listed} if way == "pasted" else {"file": SimpleUploadedFile("list.csv", listed.encode())}

    posted = desk.post(IMPORT, form)
    begun = desk.get(posted.url)
    deliver_pending("awards.write_entitlements")
    done = desk.get(posted.url)

    assert "0 of 2 lines are written." in text(begun)
    assert '<noscript><meta http-equiv="refresh" content="2"></noscript>' in begun.content.decode()
    assert 'data-refresh="2"' in begun.content.decode()
    assert "2 of 2 lines are written. New: 2. There before: 0." in text(done)
    assert 'http-equiv="refresh"' not in done.content.decode()
    assert 'data-refresh="0"' in done.content.decode()
    assert set(Entitlement.objects.values_list("person", flat=True)) == {"anna@example.com", "bertha"}


def test_the_links_of_all_who_have_not_drawn_yet_come_as_a_file(desk):
    campaign = a_closed_campaign()
    begun = begin_import(
        campaign, [("anna@example.com", "order 1"), ("+493419988", "=2")], actor="maria", expires_at=None
    )
    deliver_pending("awards.write_entitlements")
    Entitlement.objects.filter(pk=an_entitlement(campaign, "bertha").pk).withdraw()

    page = desk.get(page_of(begun)).content.decode()
    answer = desk.get(reverse("admin:awards_entitlementimport_links", args=[begun.pk]))
    lines = list(csv.reader(io.StringIO(answer.getvalue().decode("utf-8-sig"))))

    assert "Links to draw by (CSV)" in page
    assert [line[:2] for line in lines[1:]] == [["anna@example.com", "order 1"], ["'+493419988", "'=2"]]
    address, _, token = lines[1][2].partition("?link=")
    assert address == "http://testserver/campaigns/raffle/"
    assert entitlement_of(unquote(token), campaign).person == "anna@example.com"
    assert LogEntry.objects.latest("pk").change_message == "links to draw by, as a file"


@pytest.mark.parametrize(
    ("campaign", "right", "until"),
    [
        ({"ends_at": timedelta(days=3)}, None, timedelta(days=3)),
        ({"ends_at": timedelta(days=30)}, timedelta(days=2), timedelta(days=2)),
        ({"ends_at": timedelta(days=30)}, None, timedelta(days=14)),
    ],
)
def test_a_link_is_said_to_be_valid_no_longer_than_its_right_and_its_campaign(desk, campaign, right, until):
    campaign = a_closed_campaign(**campaign)
    expires_at = right and timezone.now() + right
    begun = begin_import(campaign, [("anna@example.com", "order 1")], actor="maria", expires_at=expires_at)
    deliver_pending("awards.write_entitlements")

    answer = desk.get(reverse("admin:awards_entitlementimport_links", args=[begun.pk]))
    said = list(csv.reader(io.StringIO(answer.getvalue().decode("utf-8-sig"))))[1][3]
    page = text(desk.get(page_of(Entitlement.objects.get())))

    assert abs(datetime.fromisoformat(said) - timezone.now() - until) < timedelta(minutes=1)
    assert f"Valid until {date_format(timezone.now() + until, 'DATE_FORMAT')}" in page


@pytest.mark.parametrize(
    ("until", "said"),
    [
        ("2020-01-01T00:00", "This time is over."),
        ("2027-01-01T00:00", "The campaign has not begun by then, so nobody could draw."),
    ],
)
def test_a_right_by_which_nobody_could_ever_draw_is_not_given(desk, until, said):
    campaign = a_closed_campaign(starts_at=timedelta(days=10_000), ends_at=timedelta(days=10_001))
    one = {"campaign": campaign.pk, "person": "anna", "source": "order 1", "expires_at": until}
    listed = {"campaign": campaign.pk, "expires_at": until, "listed": "anna,order 1"}

    pages = [desk.post(reverse("admin:awards_entitlement_add"), one), desk.post(IMPORT, listed)]

    assert [said in text(page) for page in pages] == [True, True]
    assert not Entitlement.objects.exists()
    assert not EntitlementImport.objects.exists()


def test_a_block_that_is_over_is_not_made_and_an_old_one_can_still_be_explained(desk):
    over = {"kind": "person", "subject": "dora", "reason": "a bot", "until": "2020-01-01T00:00"}
    page = desk.post(reverse("admin:awards_block_add"), over)
    ended = datetime(2020, 1, 1, tzinfo=UTC)
    old = Block.objects.create(kind="person", subject="dora", until=ended, blocked_by="maria")

    saved = desk.post(page_of(old), {**over, "reason": "a bot, by its pace"})

    assert "This time is over." in text(page)
    assert saved.status_code == 302
    assert Block.objects.get().reason == "a bot, by its pace"


def test_who_may_not_give_rights_gets_no_links(client, django_user_model):
    user = django_user_model.objects.create_user("vera", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_entitlementimport"))
    client.force_login(user)
    begun = begin_import(a_closed_campaign(), [("anna@example.com", "order 1")], actor="maria", expires_at=None)
    deliver_pending("awards.write_entitlements")

    assert "Links to draw by" not in client.get(page_of(begun)).content.decode()
    assert client.get(reverse("admin:awards_entitlementimport_links", args=[begun.pk])).status_code == 403


def test_a_list_with_a_fault_gives_nothing_and_says_which_line_it_is(desk):
    campaign = a_closed_campaign()

    page = desk.post(IMPORT, {"campaign": campaign.pk, "expires_at": "", "listed": "anna,order 1\nbertha"})

    assert "Nothing was given: 1 line cannot be taken." in text(page)
    assert "Line 2: give two columns" in text(page)
    assert not EntitlementImport.objects.exists()


@pytest.mark.parametrize(
    ("kind", "given", "kept"),
    [
        ("person", "Anna@Example.com", "anna@example.com"),
        ("address", " 2001:DB8::0:1 ", "2001:db8::1"),
    ],
)
def test_a_block_is_written_as_draws_write_it(desk, kind, given, kept):
    desk.post(reverse("admin:awards_block_add"), {"kind": kind, "subject": given, "reason": "a bot", "until": ""})

    block = Block.objects.get()
    assert (block.subject, block.blocked_by) == (kept, "maria")


def test_a_block_of_no_address_is_refused(desk):
    page = desk.post(
        reverse("admin:awards_block_add"), {"kind": "address", "subject": "anna", "reason": "x", "until": ""}
    )

    assert "A network address, such as 203.0.113.7." in text(page)


def test_a_campaign_says_that_it_is_open_and_what_was_refused(desk):
    campaign = a_campaign()
    points(campaign)
    Refusal.objects.create(campaign=campaign, code="blocked", day="2026-01-31", times=3)

    shown = text(desk.get(page_of(campaign)))

    assert "Open: anybody draws under any name" in shown
    assert "Draws that were refused" in shown
    assert "blocked 3" in shown
    assert "⚠ anybody" in text(desk.get(reverse("admin:awards_campaign_changelist")))


def test_a_new_campaign_is_not_open_unless_somebody_says_so(desk):
    page = desk.get(reverse("admin:awards_campaign_add")).content.decode()

    assert re.search(r'<option value="link" selected>', page)
    assert Campaign(slug="x").access == "link"


def test_a_campaign_is_not_open_and_by_entitlement_at_once(desk):
    campaign = a_closed_campaign()

    page = desk.post(page_of(campaign), form_of(campaign, access="open", needs_entitlement="on"))

    assert "Choose one of the two." in text(page)
    assert Campaign.objects.get().access == "link"
