"""No hint is sent: these tests deliver by hand, and see what the table holds."""

import threading

import pytest

import awards.consumers  # noqa: F401  # what the outbox finds by itself at start-up
from awards.fake_vendor.book import Book
from awards.fake_vendor.modes import Modes
from awards.fake_vendor.server import FakeVendor
from outbox.broker import dispatcher


@pytest.fixture(autouse=True)
def no_hints(monkeypatch):
    monkeypatch.setattr(dispatcher, "dispatch", lambda ids: None)


@pytest.fixture(autouse=True)
def plain_static_files(settings):
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}


@pytest.fixture
def vendor(tmp_path, settings):
    """A real vendor on a free port, whose modes a test may change."""
    book = Book(tmp_path / "book.sqlite3")
    server = FakeVendor(("127.0.0.1", 0), book=book, modes=Modes(hang_seconds=5), seed=7)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    settings.VENDOR_URL = server.url
    settings.VENDOR_TIMEOUT = 0.4
    settings.VENDOR_CONNECT_TIMEOUT = 0.4
    yield server
    server.stop()
    book.close()
