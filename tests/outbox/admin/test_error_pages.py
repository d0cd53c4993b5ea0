"""Whatever goes wrong at the desk is said by the desk: what happened, what was not done, and the way back."""

from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import translation

from outbox.admin.messages import detail
from outbox.models import Message
from tests.harness.desk import text_of, user, wins
from tests.outbox.admin.acting import LIST, url_of

pytestmark = pytest.mark.django_db

FILTERS = "?_changelist_filters=tab%3Dfailed%26consumer%3Ddesk.issue"
NOTHING_DONE = {"en": "Nothing was done.", "zh-hans": "什么都没有做。"}


@pytest.fixture
def strict(lead: User) -> Client:
    """A browser whose posts need the token."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(lead)
    return client


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_whoever_may_not_see_a_page_reads_so_in_the_desk_s_own_words(client: Client, language: str) -> None:
    client.force_login(user("nora"))

    answer = client.get(LIST, headers={"Accept-Language": language})

    assert answer.status_code == 403
    assert "outbox/desk.css" in answer.content.decode()
    assert NOTHING_DONE[language] in text_of(answer)
    assert "nora" in text_of(answer)


@pytest.mark.parametrize("language", ["en", "zh-hans"])
@pytest.mark.parametrize("address", ["message/export/?format=doc", "nothing/of/the/kind/", "message/1/nothing/here/"])
def test_an_address_that_names_nothing_leads_back(desk: Client, address: str, language: str) -> None:
    came_from = f"http://testserver{LIST}?tab=failed&consumer=desk.issue"

    answer = desk.get(
        f"/admin/outbox/{address}", headers={"Accept-Language": language, "Referer": came_from}, follow=True
    )

    if answer.status_code == 404:
        assert NOTHING_DONE[language] in text_of(answer)
        assert came_from.replace("&", "&amp;") in answer.content.decode()
    else:
        assert answer.status_code == 200  # Django's admin takes it for an id, and says that it is not there


def test_a_page_elsewhere_is_no_way_back(desk: Client) -> None:
    answer = desk.get("/admin/nothing/", headers={"Referer": "https://elsewhere.example/admin/"})

    assert "elsewhere" not in answer.content.decode()


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_a_form_without_a_token_says_that_nothing_was_done(strict: Client, language: str) -> None:
    message = wins.failed("7")

    answer = strict.post(
        url_of(message, FILTERS),
        {"act": "discard", "revision": 0, "reason": "of another site", "confirm": "on"},
        headers={"Accept-Language": language},
    )

    assert answer.status_code == 403
    assert NOTHING_DONE[language] in text_of(answer)
    assert url_of(message, FILTERS) in answer.content.decode()
    assert "of another site" not in answer.content.decode(), "nobody puts words on our pages from outside"
    assert Message.objects.get(pk=message.pk).resolution == ""


@pytest.mark.parametrize("language", ["en", "zh-hans"])
@pytest.mark.parametrize(
    ("limits", "posted", "said"),
    [
        ({"DATA_UPLOAD_MAX_MEMORY_SIZE": 2**20}, {"reason": "x" * 2**21}, "1.0 MiB"),
        ({"DATA_UPLOAD_MAX_NUMBER_FIELDS": 10}, {f"f{n}": n for n in range(11)}, "10"),
    ],
)
def test_what_is_too_much_is_said_in_figures(
    desk: Client, settings: Any, limits: dict[str, int], posted: dict[str, Any], said: str, language: str
) -> None:
    for name, value in limits.items():
        setattr(settings, name, value)
    body = "&".join(f"{name}={value}" for name, value in posted.items())

    answer = desk.post(
        url_of(wins.failed("7")),
        body,
        content_type="application/x-www-form-urlencoded",
        headers={"Accept-Language": language},
    )

    assert answer.status_code == 400
    assert said in text_of(answer)
    assert NOTHING_DONE[language] in text_of(answer)


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_a_failure_of_the_desk_needs_nothing_to_say_so(lead: User, language: str) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(lead)

    with mock.patch.object(detail, "find_message", side_effect=RuntimeError("no such luck")):
        answer = client.get(url_of(wins.failed("7")), headers={"Accept-Language": language})

    with translation.override(language):
        said = translation.gettext(
            "What you asked for is done whole or not at all. Open the page anew: it shows which."
        )
    assert answer.status_code == 500
    assert said in text_of(answer)
    assert "no such luck" not in text_of(answer)


def test_outside_the_admin_a_project_s_own_pages_stay(client: Client) -> None:
    answer = client.get("/nothing-here/")

    assert answer.status_code == 404
    assert "outbox/desk.css" not in answer.content.decode()


def test_an_answer_for_a_program_stays_json(client: Client) -> None:
    answer = client.get("/api/nothing", headers={"Host": "elsewhere.example"})

    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
