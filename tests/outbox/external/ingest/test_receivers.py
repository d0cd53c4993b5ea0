"""The process that receives: its threads end together, and none of them unseen."""

import threading

import pytest

from outbox.external.ingest import receivers
from outbox.external.ingest.receiver import Receiver
from outbox.models import Heartbeat

pytestmark = pytest.mark.django_db(transaction=True)


def test_it_beats_until_it_is_told_to_stop(source, monkeypatch):
    monkeypatch.setattr(receivers, "BEAT_EVERY", 0.05)
    monkeypatch.setattr(Receiver, "run", lambda self: self._stopping.wait(30))
    stopping = threading.Event()
    threading.Timer(0.5, stopping.set).start()

    assert receivers.run([source()], stopping=stopping, ready=lambda: None)

    assert Heartbeat.objects.get(name="receiver").data == {"sources": ["partner"]}


def test_a_thread_that_fails_ends_the_process_so_that_it_is_started_anew(source, monkeypatch):
    def run(self):
        if self._source.name == "partner":
            raise SystemExit("a function of the project's")
        self._stopping.wait(30)

    monkeypatch.setattr(Receiver, "run", run)
    stopping = threading.Event()

    assert not receivers.run([source(), source("other")], stopping=stopping, ready=lambda: None)
    assert stopping.is_set()


def test_without_a_source_it_waits(monkeypatch):
    stopping = threading.Event()
    said = []
    threading.Timer(0.2, stopping.set).start()

    assert receivers.run([], stopping=stopping, ready=lambda: said.append("ready"))

    assert said == ["ready"]
