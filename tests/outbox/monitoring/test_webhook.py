"""The webhook: one post for all notifications, never followed elsewhere, its address never told."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from outbox.conf import Conf
from outbox.models import Heartbeat
from outbox.monitoring import alerts
from outbox.monitoring.health import measure
from tests.harness.clock import MINUTE, set_back
from tests.harness.rows import all_is_well, rescanned

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _broker_is_away(db: None) -> None:
    all_is_well()
    rescanned(broker_away=True)


def look() -> list[tuple[str, str]]:
    """Look a minute later, and return what was new."""
    set_back(MINUTE, Heartbeat)
    all_is_well()
    rescanned(broker_away=True)
    return [(notification.kind.value, notification.about) for notification in alerts.watch()]


class Receiver(BaseHTTPRequestHandler):
    """A webhook that writes down what is posted, and answers as it is told to."""

    server: Any

    def do_POST(self) -> None:
        self.server.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.status)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def do_GET(self) -> None:
        self.server.posted.append({"followed": self.path})
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def webhook(configure: Any) -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.posted, server.status = [], 200
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    configure(ALERT_WEBHOOK=f"http://127.0.0.1:{server.server_port}/secret-path", ALERT_HOOK="")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_webhook_gets_all_notifications_in_one_post(webhook):
    look()

    (posted,) = webhook.posted
    (alert,) = posted["alerts"]
    assert posted["text"].startswith("CRITICAL: The broker did not answer")
    assert (alert["kind"], alert["level"], alert["about"]) == ("new", "critical", "broker")
    assert set(alert) == {"kind", "level", "about", "sentence", "since"}


@pytest.mark.parametrize("status", [302, 307, 400, 500])
def test_a_webhook_that_refuses_or_sends_elsewhere_is_tried_again_and_its_address_stays_secret(webhook, status, caplog):
    webhook.status = status
    look()
    webhook.status = 200

    assert [look(), look()] == [[("new", "broker")], []]
    assert len(webhook.posted) == 2
    assert "secret-path" not in caplog.text


def test_a_webhook_that_nobody_answers_breaks_nothing(configure):
    configure(ALERT_WEBHOOK="http://localhost:9/", ALERT_HOOK="")

    assert look() == [("new", "broker")]
    assert measure().failed_channels == ("webhook",)


@pytest.mark.parametrize("address", ["https://chat.example.org/x", "http://localhost:8000/x", "http://[::1]/", ""])
def test_webhooks_are_https_or_on_this_machine(address):
    assert Conf(alert_webhook=address).alert_webhook == address


@pytest.mark.parametrize(
    "address",
    [
        "http://chat.example.org/x",
        "http://localhost.example.org/",
        "http://127.0.0.1@example.org/",
        "file:///etc",
        "ftp://x",
    ],
)
def test_other_webhooks_are_refused(address):
    with pytest.raises(ImproperlyConfigured, match="ALERT_WEBHOOK"):
        Conf(alert_webhook=address)
