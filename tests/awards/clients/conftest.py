"""No hint is sent, and static files are plain, as in the other tests of the awards; and a client that may be told."""

import pytest

from awards import telling
from awards.channels.sharing import Shares
from tests.awards.clients.receiver import a_receiver
from tests.awards.conftest import no_hints, plain_static_files

__all__ = ["no_hints", "plain_static_files"]


@pytest.fixture
def receiver(settings, monkeypatch):
    monkeypatch.setattr(telling, "OF_ONE_HOST", Shares(5))
    settings.WEBHOOK_ALLOWED_HOSTS = ["127.0.0.1"]
    settings.WEBHOOK_TIMEOUT = settings.WEBHOOK_CONNECT_TIMEOUT = 1.0
    with a_receiver() as server:
        yield server
