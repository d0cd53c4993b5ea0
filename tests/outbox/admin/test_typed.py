"""What was typed outlives the session: after a login it is there for whoever typed it, and nothing was done."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from outbox.admin import typed
from outbox.models import AuditEntry, BulkOperation, BulkRehearsal, ConsumerState, FailureGroup, Message
from tests.harness.bulk import prepared
from tests.harness.desk import ISSUE, failure_group, page_of, text_of, user, wins
from tests.harness.translation import HOME
from tests.outbox.admin.acting import LIST, url_of

pytestmark = pytest.mark.django_db

WORDS = "the vendor wrote <b>OK</b> at 03:10"
LOGIN = "/admin/login/"


@pytest.fixture
def lena(db: None) -> User:
    return user("lena", is_superuser=True)


@pytest.fixture
def browser(lena: User) -> Client:
    client = Client(enforce_csrf_checks=True)
    client.force_login(lena)
    return client


def hidden(page: str) -> dict[str, str]:
    """Return the token and the seal of a page's first form that has them."""
    names = ("csrfmiddlewaretoken", typed.SEAL)
    return {name: re.findall(rf'name="{name}" value="([^"]*)"', page)[-1] for name in names}


def post(browser: Client, address: str, given: Mapping[str, Any]) -> Any:
    """Post what was typed into a page that was opened before the session was over."""
    page = browser.get(LIST if "pick" in given else address).content.decode()
    end_session(browser)
    return browser.post(address, {**given, **hidden(page)})


def end_session(browser: Client) -> None:
    """Let the session run out, as its cookie and its row do."""
    Session.objects.all().delete()
    browser.cookies.pop("sessionid", None)


def sign_in(browser: Client, name: str, address: str) -> Any:
    """Log in as people do, and follow to where they wanted to go."""
    login = browser.get(f"{LOGIN}?next={address}")
    token = re.findall(r'name="csrfmiddlewaretoken" value="([^"]*)"', login.content.decode())[0]
    given = {"username": name, "password": "secret", "next": address, "csrfmiddlewaretoken": token}
    return browser.post(f"{LOGIN}?next={address}", given, follow=True)


def state_of_everything() -> Any:
    models = (Message, FailureGroup, ConsumerState, BulkOperation)
    return [list(model.objects.order_by("pk").values()) for model in models]


def cases() -> dict[str, Any]:
    return {
        "retry": lambda: (page_of(wins.failed("7")), {"act": "retry", "revision": 0, "reason": WORDS}),
        "discard": lambda: (
            page_of(wins.failed("7")),
            {"act": "discard", "revision": 0, "reason": WORDS, "confirm": "on"},
        ),
        "retry of many": lambda: (
            reverse("admin:outbox_message_retry_selected"),
            {"pick": f"{wins.failed('7').pk}:0", "confirmed": "1", "reason": WORDS},
        ),
        "edit": lambda: (
            reverse("admin:outbox_message_edit", args=[wins.failed("7").pk]),
            {"payload": '{"award": 18}', "reason": WORDS, "revision": 0, "step": "save"},
        ),
        "pause": lambda: (page_of(ConsumerState(pk=ISSUE)), {"act": "pause", "seen": "", "reason": WORDS}),
        "triage": lambda: (
            page_of(failure_group(stuck=1)),
            {"state": "investigating", "revision": 0, "was": "new", "note": WORDS, "owner": "lena"},
        ),
        "start": lambda: (page_of(prepared_set()), {"act": "bulk_start", "revision": 0, "reason": WORDS}),
        "list": lambda: (
            reverse("admin:outbox_bulkoperation_prepare"),
            {"verb": "retry", "by": "keys", "text": f"{WORDS}\n{wins.failed('7').key}"},
        ),
    }


def prepared_set() -> BulkOperation:
    wins.failed("7")
    return prepared()


@pytest.mark.parametrize("case", cases())
def test_a_session_that_ends_in_mid_form_takes_nothing_with_it(browser: Client, case: str) -> None:
    address, given = cases()[case]()
    before = state_of_everything()

    refused = post(browser, address, given)
    shown = sign_in(browser, "lena", address)

    assert refused.status_code == 302
    assert "vendor" not in refused.headers["Location"], "no word of it is in an address"
    assert "the vendor wrote &lt;b&gt;OK" in shown.content.decode()
    assert "What you had typed is here again" in text_of(shown)
    assert state_of_everything() == before
    assert not AuditEntry.objects.exclude(action="reveal").exists()


@pytest.mark.parametrize(
    ("button", "fields"),
    [
        ("stop_rehearsal", {"rehearsal": "1"}),
        ("split", {"member": "jam", "revision": 0}),
        ("delete_view", {"view": "1", "revision": 0}),
    ],
)
def test_a_button_that_was_pressed_too_late_is_not_pressed_by_the_login(
    browser: Client, button: str, fields: dict[str, Any]
) -> None:
    operation = prepared_set()
    BulkRehearsal.objects.create(pk=1, operation=operation, started_by="lena", consumers=[ISSUE], total=1)

    post(browser, page_of(operation), {"act": button, **fields})
    shown = sign_in(browser, "lena", page_of(operation))

    assert "What you had typed" not in text_of(shown)
    assert BulkRehearsal.objects.get().goes_on


def test_a_page_that_reads_itself_leaves_what_was_typed_to_the_person(browser: Client) -> None:
    address = page_of(prepared_set())
    post(browser, address, {"act": "bulk_start", "revision": 0, "reason": WORDS})
    browser.force_login(User.objects.get(username="lena"))

    by_itself = browser.get(address, headers={typed.BY_ITSELF: "1"})

    assert "the vendor wrote" not in by_itself.content.decode()
    assert "the vendor wrote" in browser.get(address).content.decode()


def test_what_is_shown_again_can_be_sent(browser: Client) -> None:
    message = wins.failed("7")
    address = url_of(message, "?_changelist_filters=tab%3Dfailed")
    post(browser, address, {"act": "retry", "revision": 0, "reason": WORDS})

    page = sign_in(browser, "lena", address).content.decode()
    browser.post(address, {"act": "retry", "revision": 0, "reason": WORDS, **hidden(page)})

    assert Message.objects.get(pk=message.pk).status == "pending"
    assert AuditEntry.objects.get(action="retry").reason == WORDS


def test_it_is_shown_once(browser: Client) -> None:
    address = url_of(wins.failed("7"))
    post(browser, address, {"act": "retry", "revision": 0, "reason": WORDS})
    sign_in(browser, "lena", address)

    assert "the vendor wrote" not in browser.get(address).content.decode()


def test_somebody_else_at_the_same_browser_reads_nothing_of_it(browser: Client) -> None:
    user("mallory", is_superuser=True)
    address = url_of(wins.failed("7"))
    post(browser, address, {"act": "retry", "revision": 0, "reason": WORDS})

    shown = sign_in(browser, "mallory", address)
    browser.post("/admin/logout/", hidden(shown.content.decode()))
    later = sign_in(browser, "lena", address)

    assert "the vendor wrote" not in shown.content.decode()
    assert "the vendor wrote" not in later.content.decode(), "and then it is gone"
    assert not any("vendor" in str(session.get_decoded()) for session in Session.objects.all())


def test_after_half_an_hour_it_is_gone(browser: Client) -> None:
    address = url_of(wins.failed("7"))
    with mock.patch.object(typed, "KEPT_FOR", timedelta(0)):
        post(browser, address, {"act": "retry", "revision": 0, "reason": WORDS})
        shown = sign_in(browser, "lena", address)

    assert "the vendor wrote" not in shown.content.decode()


def test_nobody_fills_the_sessions_from_outside(db: None) -> None:
    address = url_of(wins.failed("7"))
    stranger = Client()

    answer = stranger.post(address, {"act": "retry", "revision": 0, "reason": WORDS, typed.SEAL: "1:forged:seal"})

    assert answer.status_code == 403
    assert "the vendor wrote" in answer.content.decode(), "it can be copied from the answer"
    assert not Session.objects.exists()


def test_a_form_from_before_the_last_login_is_filled_in_again(browser: Client, lena: User) -> None:
    """Logging in elsewhere changes the token, so the page that is still open is refused."""
    address = url_of(wins.failed("7"))
    page = browser.get(address).content.decode()
    end_session(browser)
    sign_in(browser, "lena", "/admin/")

    refused = browser.post(address, {"act": "retry", "revision": 0, "reason": WORDS, **hidden(page)})
    shown = browser.get(address)

    assert refused.status_code == 403
    assert address in refused.content.decode()
    assert "the vendor wrote" in shown.content.decode()
    assert Message.objects.get().status == "failed"


def test_a_form_of_somebody_who_was_here_before_is_not_filled_in(browser: Client) -> None:
    user("mallory", is_superuser=True)
    address = url_of(wins.failed("7"))
    page = browser.get(address).content.decode()
    end_session(browser)
    sign_in(browser, "mallory", "/admin/")

    refused = browser.post(address, {"act": "retry", "revision": 0, "reason": WORDS, **hidden(page)})

    assert "the vendor wrote" not in refused.content.decode()
    assert "the vendor wrote" not in browser.get(address).content.decode()


def test_no_text_goes_into_a_cookie(browser: Client, settings: Any) -> None:
    address = url_of(wins.failed("7"))
    page = browser.get(address).content.decode()
    end_session(browser)
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"

    answer = browser.post(address, {"act": "retry", "revision": 0, "reason": WORDS, **hidden(page)})

    assert answer.status_code == 403
    assert "sessionid" not in answer.cookies


def test_every_form_of_the_desk_is_sealed() -> None:
    """Without a seal nothing is kept."""
    for path in (HOME / "templates").rglob("*.html"):
        source = path.read_text()
        assert source.count("{% csrf_token %}") == source.count("{% csrf_token %}{% typed_by %}"), path


def test_the_list_has_no_use_for_it(browser: Client) -> None:
    wins.failed("7")

    assert browser.get(LIST).status_code == 200
