"""A pool of this process for one test, as a worker process has it."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from time import monotonic, sleep

import pytest

from outbox.declared import Consumer
from outbox.delivery.wide import hints
from outbox.delivery.wide.pool import Pool
from outbox.models import Message

Deliver = Callable[[Consumer, Sequence[int]], None]


@pytest.fixture
def short_lease(configure: Callable[..., None]) -> None:
    """Leases that are renewed while a test waits for it."""
    configure(LEASE=timedelta(seconds=0.8))


@pytest.fixture
def pool(
    transactional_db: None, dispatched: object, short_lease: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pool]:
    """The pool of this process; at the end every call has ended."""
    made = Pool()
    monkeypatch.setattr(hints, "_pool", made)
    yield made
    made.end()


@pytest.fixture
def deliver(pool: Pool) -> Deliver:
    """Give a hint to the pool, and wait until it was looked at."""
    return hints.deliver


def wait_for(condition: Callable[[], object], *, within: float = 15.0) -> None:
    """Wait until it holds."""
    until = monotonic() + within
    while not condition():
        assert monotonic() < until, "it did not come to pass in time"
        sleep(0.01)


def all_are(status: str, ids: Sequence[int]) -> Callable[[], bool]:
    """Return whether all of these messages have come to ``status``."""
    return lambda: Message.objects.filter(pk__in=ids, status=status).count() == len(ids)
