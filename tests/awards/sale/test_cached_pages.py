"""The page that everybody loads: read once for many, and never older than the last change plus a second."""

import threading
from typing import ClassVar

import pytest
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.filebased import FileBasedCache
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


def test_a_page_that_cannot_be_read_is_tried_once_and_no_fault_of_the_cache(caplog):
    tries = []

    def read() -> str:
        tries.append(1)
        raise LookupError("the database is away")

    with pytest.raises(LookupError):
        pages.cached("raffle", read)

    assert len(tries) == 1
    assert not caplog.records


def test_what_is_read_is_shown_though_the_cache_keeps_nothing(monkeypatch):
    a_queue()
    monkeypatch.setattr("django.core.cache.backends.filebased.FileBasedCache.set", lambda *_a, **_k: 1 / 0)

    assert "50 points" in shown()


def test_a_name_that_somebody_has_made_up_leaves_nothing_behind(tmp_path):
    for number in range(3):
        assert client.get(f"/campaigns/made-up-{number}/").status_code == 404

    assert not list(tmp_path.iterdir())


def test_whatever_is_kept_has_an_end(settings):
    backend = "tests.awards.sale.test_cached_pages.Noting"
    settings.CACHES = {
        **settings.CACHES,
        "pages": {"BACKEND": backend, "LOCATION": settings.CACHES["pages"]["LOCATION"]},
    }
    Noting.ends.clear()
    a_queue()

    shown()
    pages.forget("raffle")
    shown()

    assert len(Noting.ends) >= 4
    assert all(end is not None and end <= 60 for end in Noting.ends)


class Noting(FileBasedCache):
    """A cache that notes for how long each is kept."""

    ends: ClassVar[list[float | None]] = []

    def set(self, key, value, timeout=DEFAULT_TIMEOUT, version=None):
        """Note it."""
        self.ends.append(timeout)
        super().set(key, value, timeout, version)


class _Desk:
    def rename(self, campaign: Campaign, name: str) -> None:
        with transaction.atomic():
            Campaign.objects.filter(pk=campaign.pk).update(name=name)
            say_changed(campaign.pk)


@pytest.fixture
def desk_of_sales() -> _Desk:
    return _Desk()
