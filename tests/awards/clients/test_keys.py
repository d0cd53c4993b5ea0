"""Clients by their keys: each key its own answer, and a key that was revoked is refused for good."""

import pytest

from awards.clients.keys import client_of
from awards.errors import TooManyCalls
from awards.models import ApiClient, Draw, Refusal, Scope
from tests.awards.clients.given import a_client, a_closed_campaign
from tests.awards.given import points
from tests.awards.test_api import post, told

pytestmark = pytest.mark.django_db


def test_a_shop_s_server_draws_for_the_person_that_it_names():
    points(a_closed_campaign())
    client, key = a_client()

    answer = post({"person": "Anna@example.com"}, Authorization=key)

    assert answer.status_code == 201
    assert answer.json()["person"] == "anna@example.com"
    client.refresh_from_db()
    assert client.last_used_at is not None


@pytest.mark.parametrize(
    ("header", "refusal"),
    [
        (None, (401, "key_missing")),
        ("", (401, "key_missing")),
        ("Bearer ", (401, "key_missing")),
        ("Basic YTpi", (401, "key_missing")),
        ("Bearer mga_unknown", (401, "key_unknown")),
        ("Bearer \udcff", (401, "key_unknown")),
    ],
)
def test_who_shows_no_key_of_ours_is_told_so(header, refusal):
    points(a_closed_campaign())
    shown = {} if header is None else {"Authorization": header.encode("utf-8", "surrogateescape").decode("latin-1")}

    answer = post({"person": "anna"}, **shown)

    assert told(answer) == refusal
    assert answer["WWW-Authenticate"] == "Bearer"
    assert not Draw.objects.exists()


def test_a_revoked_key_is_refused_on_an_open_campaign_as_well():
    points(a_closed_campaign(access="open"))
    client, key = a_client()
    assert post({"person": "anna"}, Authorization=key).status_code == 201

    ApiClient.objects.revoke(client, actor="maria")

    assert told(post({"person": "anna"}, key="request-2", Authorization=key)) == (401, "key_revoked")
    assert Draw.objects.count() == 1


def test_a_client_that_may_give_entitlements_alone_does_not_draw():
    points(a_closed_campaign())
    _client, key = a_client(Scope.ENTITLE)

    assert told(post({"person": "anna"}, Authorization=key)) == (403, "scope_missing")


def test_a_client_that_is_too_fast_is_told_when_to_come_again():
    points(a_closed_campaign())
    _client, key = a_client(rate=2)
    answers = [post({"person": "anna"}, key=f"request-{turn}", Authorization=key) for turn in range(3)]

    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert told(answers[2]) == (429, "too_many_requests")
    assert answers[2]["Retry-After"] == "1"
    assert Draw.objects.count() == 2


def test_another_client_is_not_held_up_by_the_pace_of_the_first():
    _client, slow = a_client(rate=1)
    _other, key = a_client(rate=1)
    client_of(slow, Scope.DRAW)

    with pytest.raises(TooManyCalls):
        client_of(slow, Scope.DRAW)
    client_of(key, Scope.DRAW)


def test_the_table_holds_no_key():
    client, key = a_client()

    assert key.removeprefix("Bearer ") not in str(ApiClient.objects.values().get(pk=client.pk))


def test_thirty_made_up_names_on_a_campaign_that_is_not_open_draw_nothing(client):
    points(a_closed_campaign())
    form = {"request_id": "5ebafcbe-d455-4258-bd11-f86e53378776"}

    answers = [post({"person": f"name {number}"}, key=f"request-{number}") for number in range(30)]
    pages = [client.post("/campaigns/raffle/", {**form, "person": f"name {number}"}) for number in range(30)]

    assert {told(answer) for answer in answers} == {(401, "key_missing")}
    assert {page.status_code for page in pages} == {403}
    assert not Draw.objects.exists()
    assert not Refusal.objects.exists()
