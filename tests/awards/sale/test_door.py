"""What stands in front of Django: refused requests cost no statement, and the rate is kept."""

import io
import json
import os
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import OperationalError, connection, connections
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from awards.models import Sale, SaleSecond
from awards.sale import paces, redis_stock, tallies
from awards.sale.buckets import Bucket
from awards.sale.queueing import token_of
from awards.views.door import SaleDoor
from tests.awards.given import a_campaign, points
from tests.harness.program import eventually

pytestmark = pytest.mark.django_db(transaction=True)


class Inside:
    """The application behind the door, which counts who comes in."""

    def __init__(self):
        self.came = 0

    def __call__(self, environ, start_response):
        self.came += 1
        start_response("201 Created", [])
        return [b"drawn"]


def ask(door, path: str = "/api/campaigns/raffle/draws", method: str = "POST", **more: str):
    said = {}

    def start_response(status, headers):
        said.update(status=int(status[:3]), headers=dict(headers))

    environ = {**RequestFactory()._base_environ(), "REQUEST_METHOD": method, "PATH_INFO": path, **more}
    body = b"".join(door({**environ, "wsgi.input": io.BytesIO()}, start_response))
    return said["status"], said["headers"], body


def a_paced_sale(**sale):
    campaign = a_campaign()
    points(campaign, stock=5)
    Sale.objects.create(campaign=campaign, **sale)
    paces.load()
    paces._known.runs = True  # no thread reads meanwhile
    paces._known.pid = os.getpid()
    return campaign


def test_what_is_over_the_rate_is_told_when_to_come_again_and_costs_no_statement():
    a_paced_sale(rate=1, burst=2)
    inside = Inside()
    door = SaleDoor(inside)

    with CaptureQueriesContext(connection) as captured:
        answers = [ask(door) for _ in range(5)]

    assert [status for status, _headers, _body in answers] == [201, 201, 429, 429, 429]
    assert inside.came == 2
    assert not captured.captured_queries
    _status, headers, body = answers[-1]
    problem = json.loads(body)
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["Retry-After"] == "1"
    assert (problem["status"], problem["code"]) == (429, "too_many_draws")


def test_people_on_the_page_are_told_so_in_words():
    a_paced_sale(rate=1, burst=1)
    door = SaleDoor(Inside())
    ask(door, "/campaigns/raffle/")

    status, headers, body = ask(door, "/campaigns/raffle/")

    assert status == 429
    assert headers["Content-Type"].startswith("text/html")
    assert "Please try again in 1 second<" in body.decode()
    assert "请在 1 秒后重试" in body.decode()
    assert 'href="/campaigns/raffle/"' in body.decode()
    assert "<script" not in body.decode()
    assert len(body) < 3_000


@pytest.mark.parametrize(
    ("came_from", "back"),
    [
        ("http://testserver/campaigns/raffle/?link=a.b&amp=1", 'href="/campaigns/raffle/?link=a.b&amp;amp=1"'),
        ("http://testserver/campaigns/other/?link=a.b", 'href="/campaigns/raffle/"'),
        ('http://testserver/campaigns/raffle/?"><script>', 'href="/campaigns/raffle/?&quot;&gt;&lt;script&gt;"'),
        ("http://[", 'href="/campaigns/raffle/"'),
    ],
)
def test_the_way_back_keeps_the_link_by_which_somebody_has_come(came_from, back):
    a_paced_sale(rate=1, burst=1)
    door = SaleDoor(Inside())
    ask(door, "/campaigns/raffle/")

    _status, _headers, body = ask(door, "/campaigns/raffle/", HTTP_REFERER=came_from)

    assert back in body.decode()
    assert "<script" not in body.decode()


def test_nothing_else_is_held_back():
    a_paced_sale(rate=1, burst=1)
    inside = Inside()
    door = SaleDoor(inside)
    ask(door)

    assert ask(door, method="GET")[0] == 201
    assert ask(door, "/api/campaigns/other/draws")[0] == 201
    assert ask(door, "/api/campaigns/raffle/entitlements")[0] == 201


def test_with_redis_all_processes_share_one_rate(redis):
    campaign = a_paced_sale(rate=1, burst=3)

    let_in = [not redis_stock.admit(campaign.pk, rate=1, burst=3) for _ in range(6)]
    here = ask(SaleDoor(Inside()))[0]

    assert let_in == [True, True, True, False, False, False]
    assert here == 429, "another process has used it up"


def test_the_rate_is_kept_over_a_while(redis):
    campaign = a_paced_sale(rate=100, burst=5)
    until, let_in = time.monotonic() + 1.0, 0

    while time.monotonic() < until:
        let_in += not redis_stock.admit(campaign.pk, rate=100, burst=5)

    assert 80 <= let_in <= 106


def test_without_redis_each_process_goes_on_at_its_share(redis, monkeypatch):
    monkeypatch.setenv("WEB_CONCURRENCY", "2")
    a_paced_sale(rate=2, burst=4)

    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(redis_stock, "admit", lambda *_a, **_k: 1 / 0)
        answers = [ask(SaleDoor(Inside()))[0] for _ in range(4)]

    assert answers == [201, 201, 429, 429]


def test_a_bucket_lets_in_its_rate_and_saves_up_its_burst():
    now = 100.0
    bucket = Bucket(rate=10, burst=3, clock=lambda: now)

    at_once = [bucket.wait() for _ in range(4)]
    now += 0.1
    later = [bucket.wait() for _ in range(2)]
    now += 60
    rested = [bucket.wait() for _ in range(4)]

    assert [wait == 0 for wait in at_once] == [True, True, True, False]
    assert [wait == 0 for wait in later] == [True, False]
    assert [wait == 0 for wait in rested] == [True, True, True, False]
    assert timedelta(seconds=later[1]) == pytest.approx(timedelta(seconds=0.1), abs=timedelta(seconds=0.001))


def test_what_was_let_in_and_refused_is_written_down_by_second():
    campaign = a_paced_sale(rate=1, burst=1)
    door = SaleDoor(Inside())
    for _ in range(3):
        ask(door)

    tallies.write_down()
    ask(door)
    tallies.write_down()

    rows = SaleSecond.objects.filter(campaign=campaign).values_list("admitted", "refused")
    assert [sum(column) for column in zip(*rows, strict=True)] == [1, 3]


@pytest.fixture
def no_database(monkeypatch) -> Iterator[list[int]]:
    """Have every session that is asked for be refused; return what counts how many were."""
    asked = []

    def refuse(*_args):
        asked.append(1)
        raise OperationalError("the database is away")

    with monkeypatch.context() as broken:
        broken.setattr(connections["default"].__class__, "get_new_connection", refuse)
        connection.close()
        yield asked


@pytest.mark.parametrize(
    ("path", "method"), [("/api/campaigns/raffle/draws", "POST"), ("/api/campaigns/raffle/queued/{token}", "GET")]
)
def test_while_the_database_is_away_a_program_reads_so(no_database, path, method):
    path = path.format(token=token_of(1, "request-1"))

    status, headers, body = ask(SaleDoor(WSGIHandler()), path, method)

    assert status == 503
    assert json.loads(body)["code"] == "unavailable"
    assert headers["Content-Type"] == "application/problem+json"


def test_while_the_database_is_away_draws_are_let_in_and_it_is_not_asked_for_each(no_database):
    inside = Inside()
    door = SaleDoor(inside)

    answers = [ask(door, path)[0] for path in ("/campaigns/raffle/", *["/api/campaigns/raffle/draws"] * 2)]

    assert answers == [201, 201, 201], "whatever is behind the door says what it says"
    assert len(no_database) == 1


def test_a_session_in_which_the_sales_could_not_be_read_is_closed(monkeypatch):
    def fail():
        Sale.objects.exists()
        raise OperationalError("the session is broken")

    monkeypatch.setattr(paces, "load", fail)

    assert ask(SaleDoor(Inside()))[0] == 201
    assert connection.connection is None


def test_a_new_rate_is_known_within_two_seconds():
    a_paced_sale(rate=1, burst=1)
    paces._known.runs = False
    door = SaleDoor(Inside())
    ask(door)

    Sale.objects.update(rate=1_000, burst=1_000)

    eventually(lambda: ask(door)[0] == 201 and ask(door)[0] == 201, within=2.5, what="the new rate holds")
    paces._known.asked_at = 0.0
    eventually(lambda: not paces._known.runs, within=3, what="the thread ends when nobody asks")
