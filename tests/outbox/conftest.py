"""A committed database, consumers made for one test, hints that are recorded, and nothing remembered between tests."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection
from django.db.models.functions import Now
from kombu import Connection
from kombu.transport.pyamqp import Channel

from outbox import Backoff, consumer, registry
from outbox.broker import dispatcher
from outbox.broker.queues import celery_app, queue_name
from outbox.declared import Consumer
from outbox.maintenance import recovery, rescan
from outbox.memory import forget_all
from outbox.models import ConsumerState, Message
from outbox.monitoring import causes
from tests.harness.messages import empty_tables, publish_messages
from tests.harness.plans import query
from tests.harness.recording import RecordingLink
from tests.shop import consumers as shop

SLOW = Backoff(limit=3, first=timedelta(seconds=10), factor=2, jitter=0)

TEST_CONSUMERS = ("test.till", "test.other", "test.a", "test.b")

Listen = Callable[..., Consumer]


@pytest.fixture
def transactional_db(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """A database in which commits are commits and every thread has its own connection.

    In place of pytest-django's own, which would also throw away what the migrations of others wrote.
    """
    with django_db_blocker.unblock():
        yield
        if not connection.is_usable():
            connection.close()
        empty_tables()


@pytest.fixture
def dispatched(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, Sequence[int]]]:
    """What was given to the dispatcher, which sends nothing."""
    dispatched: list[Mapping[str, Sequence[int]]] = []
    monkeypatch.setattr(dispatcher, "dispatch", dispatched.append)
    return dispatched


@pytest.fixture
def link(monkeypatch: pytest.MonkeyPatch) -> RecordingLink:
    """The link of every rescan, which records and sends nothing."""
    recording = RecordingLink()
    monkeypatch.setattr(rescan, "thread_connection", lambda: recording)
    return recording


@pytest.fixture(autouse=True)
def _as_in_a_new_process() -> None:
    """Forget what a process remembers of the table."""
    forget_all()


@pytest.fixture(autouse=True)
def _searches_that_are_no_burden(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every pass search for what is lost, as on a machine that is idle; a busy one rests after each search."""
    monkeypatch.setattr(recovery, "SHORT", 60.0)


@pytest.fixture(autouse=True)
def _a_server_that_has_run_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the server be older than all that tests let pass in a moment; a lane has just started its own."""
    monkeypatch.setattr(recovery, "SERVER_SINCE", f"{recovery.SERVER_SINCE} - interval '30 days'")
    monkeypatch.setattr(causes, "SERVER_UP", f"{causes.SERVER_UP} + interval '30 days'")


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Make consumers that are gone after the test; by default with a wait of 10 s after the first failure."""
    names: list[str] = []

    def register(
        handler: Callable[..., object] = shop.book, *, topic: str = "test.sold", name: str = "test.till", **options: Any
    ) -> Consumer:
        registry.forget_consumer(name)
        consumer(topic, name=name, **{"retry": SLOW, **options})(handler)
        names.append(name)
        entry = registry.get(name)
        assert entry is not None
        return entry

    yield register
    for name in names:
        registry.forget_consumer(name)


@pytest.fixture
def three(listen: Listen) -> None:
    """Three consumers of ``test.sold``."""
    for name in ("test.c", "test.a", "test.b"):
        listen(name=name)


@pytest.fixture
def configure(settings: Any) -> Callable[..., None]:
    """Change keys of the host's dict ``OUTBOX`` for one test."""

    def change(**keys: Any) -> None:
        settings.OUTBOX = {**settings.OUTBOX, **keys}

    return change


@pytest.fixture(autouse=True)
def _time_enough(configure: Callable[..., None]) -> None:
    """Have chunks and hints end by what they do, not by the clock of a machine that is busy with other tests."""
    configure(CHUNK_TIME_SQLITE=timedelta(seconds=10), HINT_TIME=timedelta(seconds=10))


@pytest.fixture
def one_chunk(configure: Callable[..., None]) -> None:
    """A hint that has no time to go on with chunk after chunk."""
    configure(HINT_TIME=timedelta(microseconds=1))


@pytest.fixture
def pause() -> Callable[..., None]:
    """Pause a consumer as an operator does, for good or for a while."""

    def hold(name: str, for_: timedelta | None = None) -> None:
        until = None if for_ is None else Now() + for_
        state, _made = ConsumerState.objects.get_or_create(consumer=name)
        ConsumerState.objects.filter(pk=state.pk).update(paused_at=Now(), paused_by="ada", paused_until=until)

    return hold


@pytest.fixture
def rabbit() -> Iterator[Channel]:
    """A channel of the test's own to RabbitMQ; the queues that tests made are gone before and afterwards."""
    with Connection(celery_app().conf.broker_url) as straight:
        _delete_queues(straight)
        yield straight.channel()
        _delete_queues(straight)


def _delete_queues(straight: Connection) -> None:
    with straight.channel() as channel:
        for name in (*TEST_CONSUMERS, "shop.book", "control", "dead"):
            channel.queue_delete(queue_name(name))


@pytest.fixture
def broker_at(monkeypatch: pytest.MonkeyPatch, configure: Callable[..., None]) -> Callable[[int], None]:
    """Have links connect to another port of this machine, and not be patient."""

    def move(port: int) -> None:
        there = urlsplit(celery_app().conf.broker_url)
        netloc = f"{there.username or 'guest'}:{there.password or 'guest'}@127.0.0.1:{port}"
        monkeypatch.setenv("CELERY_BROKER_WRITE_URL", urlunsplit(there._replace(netloc=netloc)))
        configure(CONNECT_TIMEOUT=timedelta(seconds=0.5), CONFIRM_TIMEOUT=timedelta(seconds=0.5))

    return move


@pytest.fixture
def many_finished(listen: Listen) -> Iterator[tuple[Consumer, list[int]]]:
    """A hundred thousand settled messages and a few that are due, with fresh statistics."""
    till = listen()
    query(
        "INSERT INTO outbox_message (topic, consumer, key, payload, headers, ordering_key, status, resolution,"
        " attempts, attempt_limit, lost, sends, due_at, not_before, expires_at, created_at, finished_at,"
        " worker, last_error, failure, revision) "
        "SELECT 'test.sold', 'test.till', 'old ' || n, '{}', '{}', '', 'success', '', 1, 3, 0, 0, now(), now(),"
        " now(), now(), now(), '', '', '', 0 FROM generate_series(1, %s) n",
        100_000,
    )
    ids = publish_messages(200)
    Message.objects.filter(pk__in=ids).update(due_at="2026-01-01T00:00Z")
    query("ANALYZE outbox_message")
    yield till, ids
    query("TRUNCATE outbox_message CASCADE")
