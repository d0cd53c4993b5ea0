"""Publishing without sending hints."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from outbox.broker import dispatcher


@contextmanager
def silenced() -> Iterator[None]:
    """Send no hints for what is published meanwhile; also a decorator. Needed only where a test commits."""
    with mock.patch.object(dispatcher, "dispatch", _send_nothing):
        yield


def _send_nothing(_ids: dispatcher.Ids) -> None:
    """Take the dispatcher's place."""
