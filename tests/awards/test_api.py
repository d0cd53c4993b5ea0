"""The JSON endpoints: each request gets its own clear answer, and none gets a 500."""

import json
import uuid
from datetime import timedelta

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from awards.consumers import issue_points
from awards.models import Award, Draw
from tests.awards.given import (
    a_campaign,
    a_draw,
    a_gift,
    message_of,
    points,
)

pytestmark = pytest.mark.django_db

DRAWS = "/api/campaigns/raffle/draws"
client = Client(raise_request_exception=False)


def post(body, key="request-1", path=DRAWS, content_type="application/json", **headers):
    content = body if isinstance(body, bytes | str) else json.dumps(body)
    named = {"Idempotency-Key": key, **headers} if key is not None else headers
    return client.post(path, content, content_type=content_type, headers=named)


def told(response) -> tuple[int, str]:
    """Return status and code of a problem, having checked the shape of it."""
    assert response["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert set(problem) == {"type", "title", "status", "code", "detail"}
    assert problem["status"] == response.status_code
    assert problem["detail"]
    return response.status_code, problem["code"]


def test_a_draw_that_wins_is_answered_201_with_the_award_and_its_address():
    campaign = a_campaign()
    points(campaign, 50)

    response = post({"person": "Anna@example.com"})

    draw, award = Draw.objects.get(), Award.objects.get()
    address = f"/api/awards/{award.public_id}"
    assert response.status_code == 201
    assert response["Location"] == address
    assert response["Cache-Control"] == "no-store"
    assert response.json() == {
        "id": str(draw.public_id),
        "campaign": "raffle",
        "person": "anna@example.com",
        "outcome": "won",
        "award": {
            "id": str(award.public_id),
            "prize": {"name": "50 points", "kind": "points", "value": "50.00"},
            "url": address,
        },
    }


def test_a_draw_that_loses_is_answered_201_without_an_award():
    campaign = a_campaign(losing_weight=2_000_000_000)
    points(campaign, weight=1)

    response = post({"person": "anna"})

    assert response.status_code == 201
    assert response.json()["outcome"] == "lost"
    assert response.json()["award"] is None
    assert "Location" not in response


@pytest.mark.parametrize("key", ["request-1", '"request-1"', "  request-1 "])
def test_the_same_request_again_is_answered_200_with_the_same_bytes_even_once_issued(key):
    campaign = a_campaign()
    points(campaign)
    first = post({"person": "anna"})
    issue_points(message_of(Award.objects.get()))

    again = post('{ "person" : "anna" }', key=key)

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.content == first.content
    assert Draw.objects.count() == 1


def test_the_same_key_with_other_data_is_422():
    points(a_campaign())
    post({"person": "anna"})

    assert told(post({"person": "bertha"})) == (422, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"active": False}, "campaign_inactive"),
        ({"starts_at": timedelta(minutes=30)}, "campaign_not_begun"),
        ({"ends_at": timedelta(minutes=-30)}, "campaign_over"),
        ({}, "sold_out"),
    ],
)
def test_a_draw_that_the_campaign_does_not_allow_is_409_with_the_reason(fields, code):
    a_gift(a_campaign(**fields), stock=0)

    assert told(post({"person": "anna"})) == (409, code)


def test_a_person_beyond_the_limit_is_409():
    points(a_campaign(draws_per_person=1))
    post({"person": "anna"})

    refused = post({"person": "anna"}, key="request-2")

    assert told(refused) == (409, "limit_reached")
    assert refused.json()["detail"] == "You have had your draw: this campaign gives one to each person."


@pytest.mark.parametrize("key", [None, "", '""', "  "])
def test_a_missing_key_is_400(key):
    a_campaign()

    assert told(post({"person": "anna"}, key=key)) == (400, "idempotency_key_missing")


@pytest.mark.parametrize("key", ["x" * 101, "with space", "tab\tinside", "ümlaut"])
def test_a_key_that_cannot_be_kept_is_400(key):
    a_campaign()

    assert told(post({"person": "anna"}, key=key)) == (400, "invalid_request_id")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (" ", "malformed_json"),
        ("{", "malformed_json"),
        (b"\xff", "not_utf8"),
        ('{"person": "josé"}'.encode("latin-1"), "not_utf8"),
        ('{"person": "anna"}'.encode("utf-16"), "not_utf8"),
        ('{"person": "anna", "person": "bertha"}', "duplicate_key"),
        ('{"person": "anna", "person": "anna"}', "duplicate_key"),
        ('{"person": {"a": 1, "a": 2}}', "duplicate_key"),
        ('"anna"', "wrong_body"),
        ('{"person": "an\\u202ena"}', "invalid_person"),
        ("[" * 4000, "malformed_json"),
        ("9" * 4000, "wrong_body"),
        ([], "wrong_body"),
        (None, "wrong_body"),
        ({}, "wrong_body"),
        ({"person": None}, "wrong_body"),
        ({"person": 7}, "wrong_body"),
        ({"person": ["anna"]}, "wrong_body"),
        ({"person": "anna", "prize": "mug"}, "wrong_body"),
        ({"person": ""}, "invalid_person"),
        ({"person": "x" * 201}, "invalid_person"),
        ({"person": "a\0b"}, "invalid_person"),
        ('{"person": "\\ud800"}', "invalid_person"),
    ],
)
def test_a_body_that_cannot_be_used_is_400_and_says_why(body, code):
    points(a_campaign())

    assert told(post(body)) == (400, code)
    assert not Draw.objects.exists()


def test_a_body_in_chunks_is_411_as_nobody_would_read_it():
    a_campaign()

    assert told(post({"person": "anna"}, **{"Transfer-Encoding": "chunked"})) == (411, "length_missing")


def test_an_oversized_body_is_413():
    a_campaign()

    assert told(post({"person": "x" * 5000})) == (413, "body_too_large")


def test_what_is_not_seen_in_a_person_is_said_to_be_the_reason():
    a_campaign()

    assert post({"person": "an\u200bna"}).json()["detail"] == (
        "Give the person as plain text of 1 to 200 characters, none of them a control character, invisible, of zero "
        "width, or one that turns the direction of writing."
    )


@pytest.mark.parametrize("content_type", ["application/json; charset=UTF-8", 'application/json; charset="utf-8"'])
def test_utf_8_may_be_named_and_a_mark_of_it_may_begin_the_body(content_type):
    points(a_campaign())

    assert post('\ufeff{"person": "josé"}'.encode(), content_type=content_type).status_code == 201


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        "application/json; charset=cp1252",
    ],
)
def test_a_body_that_is_not_called_json_is_415(content_type):
    a_campaign()

    assert told(post({"person": "anna"}, content_type=content_type)) == (415, "not_json")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/api/campaigns/nothing/draws", "unknown_campaign"),
        ("/api/campaigns/%00/draws", "unknown_address"),
        ("/api/campaigns/raffle/draws/", "unknown_address"),
        ("/api/", "unknown_address"),
    ],
)
def test_an_unknown_address_is_404_in_json(path, code):
    assert told(post({"person": "anna"}, path=path)) == (404, code)


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "options"])
def test_another_method_than_post_is_405(method):
    response = getattr(client, method)(DRAWS)

    assert told(response) == (405, "method_not_allowed")
    assert response["Allow"] == "POST"


def test_the_endpoint_needs_no_csrf_token_and_sets_no_cookie_and_a_page_needs_one():
    points(a_campaign())
    strict = Client(enforce_csrf_checks=True)

    api = strict.post(
        DRAWS, '{"person": "anna"}', content_type="application/json", headers={"Idempotency-Key": "request-1"}
    )
    page = strict.post("/campaigns/raffle/", {"person": "anna", "request_id": uuid.uuid4()})

    assert (api.status_code, page.status_code) == (201, 403)
    assert not api.cookies


def test_problems_are_told_in_the_language_asked_for():
    a_campaign(active=False)

    answer = post({"person": "anna"}, **{"Accept-Language": "zh-Hans"}).json()

    assert (answer["code"], answer["detail"]) == ("campaign_inactive", "此活动目前已关闭。")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(anything | st.fixed_dictionaries({"person": anything}), st.text(st.characters(max_codepoint=255), max_size=110))
def test_whatever_is_sent_the_answer_is_a_draw_or_a_clear_refusal(open_campaign, body, key):
    response = post(body, key=key.replace("\n", "").replace("\r", ""))

    assert response.status_code in (200, 201, 400, 415, 422)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=1, max_size=200))
def test_whatever_bytes_are_sent_the_answer_is_clear(open_campaign, body):
    response = post(body)

    assert response.status_code in (200, 201, 400, 415, 422)


@pytest.fixture
def open_campaign():
    campaign = a_campaign(losing_weight=1)
    points(campaign)
    a_draw(campaign)
    return campaign
