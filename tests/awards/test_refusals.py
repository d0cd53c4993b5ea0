"""Requests that come to no view, or whose view fails: a page of ours says what to do, and JSON below /api/."""

import pytest
from django.core.exceptions import SuspiciousOperation
from django.test import Client

from awards.models import Draw
from awards.views.refusals import bad_request, server_error
from tests.awards.given import a_campaign, points
from tests.awards.test_api import post, told
from tests.awards.test_pages import PAGE, request_id_on, text

pytestmark = pytest.mark.django_db

ADDRESSES = ["/campaigns/none/", "/draws/5ebafcbe-d455-4258-bd11-f86e53378776/", "/nothing", "/campaigns/%00/"]


@pytest.mark.parametrize("path", ADDRESSES)
def test_an_unknown_address_is_a_page_of_ours(client, path):
    page = client.get(path)

    assert page.status_code == 404
    assert "Not found" in text(page)


@pytest.mark.parametrize(
    ("language", "said", "link"),
    [
        ("en", "Nothing was done with what you sent", "Open the page anew"),
        ("zh-hans", "您提交的内容没有被处理", "重新打开页面"),
    ],
)
def test_a_form_whose_cookie_is_gone_says_what_to_do_and_the_next_try_succeeds(language, said, link):
    points(a_campaign())
    visitor = Client(enforce_csrf_checks=True, headers={"Accept-Language": language})
    form = {"person": "anna", "request_id": request_id_on(visitor)}

    refused = visitor.post(PAGE, form)
    page = refused.content.decode()
    again = visitor.post(PAGE, {**form, "csrfmiddlewaretoken": visitor.cookies["csrftoken"].value})

    assert refused.status_code == 403
    assert said in text(refused)
    assert f'<a href="{PAGE}">{link}</a>' in page
    assert again.status_code == 302
    assert Draw.objects.count() == 1


def test_what_somebody_may_not_see_is_refused_on_a_page_of_ours(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("paul", is_staff=True))

    page = client.get("/admin/awards/award/")

    assert page.status_code == 403
    assert "Not allowed" in text(page)


def test_what_cannot_be_read_is_refused_on_a_page_of_ours():
    page = Client().get("/", headers={"Host": "evil.example"})

    assert page.status_code == 400
    assert "This cannot be answered" in text(page)


@pytest.mark.django_db(databases=[])
def test_the_pages_for_failures_need_no_database(rf):
    failed = server_error(rf.get("/"))
    refused = bad_request(rf.get("/"), SuspiciousOperation())

    assert "Something went wrong" in text(failed)
    assert "This cannot be answered" in text(refused)


def test_a_failure_of_ours_is_a_page_of_ours_that_needs_nothing(monkeypatch):
    def broken(*args):
        raise ZeroDivisionError

    monkeypatch.setattr("awards.selectors.awards.running_campaigns", broken)
    page = Client(raise_request_exception=False).get("/")

    assert page.status_code == 500
    assert "Something went wrong" in text(page)


def test_a_failure_of_ours_is_told_in_json_too_and_can_be_sent_again(monkeypatch):
    points(a_campaign())
    with monkeypatch.context() as broken:
        broken.setattr("awards.services.draws.draw_ticket", lambda *args, **kwargs: 1 / 0)
        failed = post({"person": "anna"})

    assert told(failed) == (500, "server_error")
    assert post({"person": "anna"}).status_code == 201


def test_a_request_for_a_host_that_is_not_ours_is_told_in_json_too():
    assert told(post({"person": "anna"}, Host="evil.example")) == (400, "bad_request")
