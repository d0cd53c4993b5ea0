"""The page that everybody loads: read once for many, and never older than the last change plus a second."""

import threading

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from awards.models import Campaign
from awards.sale import pages
from awards.services.sales import say_changed
from outbox.testing import deliver_pending
from tests.awards.sale.given import a_queue

pytestmark = pytest.mark.django_db(transaction=True)
client = Client()


@pytest.fixture(autouse=True)
def _kept(settings, tmp_path, monkeypatch):
    backend = "django.core.cache.backends.filebased.FileBasedCache"
    settings.CACHES = {**settings.CACHES, "pages": {"BACKEND": backend, "LOCATION": str(tmp_path)}}
    monkeypatch.setattr(pages, "KEPT", 60.0)


def shown() -> str:
    return client.get("/campaigns/raffle/").content.decode()


def test_the_second_who_loads_the_page_asks_the_database_nothing_about_the_campaign():
    a_queue()
    shown()

    with CaptureQueriesContext(connection) as captured:
        assert "50 points" in shown()

    assert not [query for query in captured.captured_queries if "awards_" in query["sql"]]


def test_a_change_is_shown_once_its_consumer_has_been_there(desk_of_sales):
    campaign = a_queue()
    assert "Raffle" in shown()

    desk_of_sales.rename(campaign, "Summer raffle")
    deliver_pending("awards.forget_page")

    assert "Summer raffle" in shown()


def test_what_was_read_before_a_change_is_never_shown_after_it():
    """A slow reader puts into the cache what it read before the change."""
    a_queue()
    read, go_on = threading.Event(), threading.Event()

    def slowly() -> str:
        read.set()
        go_on.wait(5)
        return "old"

    reader = threading.Thread(target=lambda: pages.cached("raffle", slowly))
    reader.start()
    read.wait(5)
    pages.forget("raffle")
    go_on.set()
    reader.join()

    assert pages.cached("raffle", lambda: "new") == "new"


def test_nothing_is_kept_for_longer_than_a_second_whatever_the_consumer_does(monkeypatch):
    monkeypatch.undo()

    assert pages.KEPT <= 1.0


def test_a_cache_that_does_not_answer_is_no_reason_to_show_nothing(monkeypatch):
    a_queue()
    monkeypatch.setattr("django.core.cache.backends.filebased.FileBasedCache.get", lambda *_a, **_k: 1 / 0)

    assert "50 points" in shown()


class _Desk:
    def rename(self, campaign: Campaign, name: str) -> None:
        with transaction.atomic():
            Campaign.objects.filter(pk=campaign.pk).update(name=name)
            say_changed(campaign.pk)


@pytest.fixture
def desk_of_sales() -> _Desk:
    return _Desk()
