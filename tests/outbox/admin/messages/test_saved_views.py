"""Saved views at the desk: saved where one looks, opened by a link, renamed and deleted on a page of their own."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from outbox import audit, operate
from outbox.models import AuditEntry, SavedView
from tests.harness.desk import ORDER, text_of, user, wins
from tests.outbox.admin.acting import LIST

pytestmark = pytest.mark.django_db

PAGE = LIST + "saved-views/"


@pytest.fixture
def ada(client: Client) -> User:
    ada = user("ada", "view_message", "save_view")
    client.force_login(ada)
    return ada


def links(page) -> dict[str, str]:
    return {each.view.name: each.url for each in page.context["saved_views"]}


def test_what_is_shown_is_saved_without_the_pages_and_opened_again(ada: User, client: Client) -> None:
    wins.failed("7", consumer=ORDER)
    shown = f"?tab=failed&consumer={ORDER}&within=24h&mine=1&after=123&nonsense=1"
    query = client.get(LIST + shown).context["save_form"].initial["query"]

    answer = client.post(PAGE, {"act": "save_view", "name": "gifts of today", "query": query})

    assert answer.url == f"{LIST}?tab=failed&consumer={ORDER}&within=24h&mine=1"
    page = client.get(answer.url)
    assert links(page) == {"gifts of today": answer.url}
    assert [each.is_shown for each in page.context["saved_views"]] == [True]
    assert [each.is_shown for each in client.get(LIST).context["saved_views"]] == [False]


def test_what_is_posted_by_hand_is_cut_down_to_an_address_of_the_queue(ada: User, client: Client) -> None:
    query = "tab=failed&after=5&next=https://elsewhere.example&q=%20Ada%20"

    client.post(PAGE, {"act": "save_view", "name": "x", "query": query, "is_shared": "on"})

    assert SavedView.objects.values_list("query", "is_shared").get() == ("tab=failed&q=Ada", True)


@pytest.mark.parametrize("query", ["tab=gone&within=never&consumer=x.y", "group=" + "f" * 64, "q=%00", "%ff=%ff", ""])
def test_a_view_whose_filters_are_outdated_is_no_error(ada: User, client: Client, query: str) -> None:
    wins.failed("7")
    view = SavedView.objects.create(owner="ada", name="old", query=query)

    page = client.get(f"{LIST}?{view.query}")

    assert page.status_code == 200
    assert ("is no longer there, so it is not looked for" in text_of(page)) == query.startswith("group")


def test_a_name_that_is_taken_is_said_where_it_was_typed(ada: User, client: Client) -> None:
    operate.save_view("gifts", "tab=all", actor=ada)

    page = client.post(PAGE, {"act": "save_view", "name": "gifts", "query": "tab=failed"})

    assert "There is a view of that name already" in text_of(page)
    assert 'value="gifts"' in page.text
    assert 'value="tab=failed"' in page.text


def test_ones_own_are_renamed_and_deleted_and_anothers_are_only_opened(ada: User, client: Client) -> None:
    mine = operate.save_view("mine", "tab=all", actor=ada)
    ours = operate.save_view("ours", "tab=all", actor="bob", is_shared=True)
    page = client.get(PAGE)
    assert [(each.view.name, bool(each.rename)) for each in page.context["views"]] == [("mine", True), ("ours", False)]

    client.post(PAGE, {"act": "rename_view", "view": mine.pk, "revision": 0, "name": "my own"})
    refused = client.post(PAGE, {"act": "delete_view", "view": ours.pk, "revision": 0})
    gone = client.post(PAGE, {"act": "delete_view", "view": ours.pk + 1, "revision": 0})
    client.post(PAGE, {"act": "delete_view", "view": mine.pk, "revision": 1})

    assert "outbox.tend_views" in text_of(refused)
    [denial] = AuditEntry.objects.filter(action=audit.DENIED)
    assert (denial.actor, denial.before) == ("ada", {"act": "delete_view", "why": "outbox.tend_views"})
    assert "no longer there" in text_of(gone)
    assert [view.name for view in SavedView.objects.all()] == ["ours"]


def test_a_rename_that_is_refused_keeps_what_was_typed(ada: User, client: Client) -> None:
    mine = operate.save_view("mine", "tab=all", actor=ada)
    operate.save_view("taken", "tab=all", actor=ada)

    page = client.post(PAGE, {"act": "rename_view", "view": mine.pk, "revision": 0, "name": "taken"})

    assert text_of(page).count("There is a view of that name already") == 1
    [shown, _taken] = [each.rename for each in page.context["views"]]
    assert (shown.form["name"].value(), shown.is_open) == ("taken", True)


def test_a_rename_that_was_overtaken_is_done_when_it_is_sent_again(ada: User, client: Client) -> None:
    mine = operate.save_view("mine", "tab=all", actor=ada)
    operate.rename_view(mine.pk, "another", revision=0, actor=ada)

    page = client.post(PAGE, {"act": "rename_view", "view": mine.pk, "revision": 0, "name": "my own"})
    [panel] = [each.rename for each in page.context["views"]]
    client.post(PAGE, {"act": "rename_view", **{field.name: field.value() for field in panel.form}})

    assert SavedView.objects.get().name == "my own"


@pytest.mark.parametrize("name", ["", "x" * 100])
def test_a_name_that_does_not_do_is_said_beside_it(ada: User, client: Client, name: str) -> None:
    mine = operate.save_view("mine", "tab=all", actor=ada)

    page = client.post(PAGE, {"act": "rename_view", "view": mine.pk, "revision": 0, "name": name})

    [panel] = [each.rename for each in page.context["views"]]
    assert panel.form.errors["name"]
    assert page.context["problems"] == []
    assert len(re.findall('id="rename_view-[0-9]*-?name"', page.text)) == 1


@pytest.mark.parametrize("posted", [{}, {"act": "retry"}, {"act": "delete_view", "view": "x"}])
def test_what_is_no_act_on_a_view_is_refused(ada: User, client: Client, posted: dict[str, str]) -> None:
    assert client.post(PAGE, posted).status_code == 403


def test_without_the_permission_nothing_is_saved_and_the_form_says_so(client: Client, viewer: User) -> None:
    client.force_login(viewer)

    assert "outbox.save_view" in text_of(client.get(LIST))
    assert "outbox.save_view" in text_of(client.post(PAGE, {"act": "save_view", "name": "x", "query": ""}))
    assert not SavedView.objects.exists()
