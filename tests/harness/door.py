"""The door of the server that browser tests look at: shut between two tests, when the database is emptied."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

TIMEOUT_SECONDS = 30


class Door(AbstractContextManager["Door"]):
    """A WSGI application before another one: requests get in while the block runs, and its end waits for the last.

    A page asks again by itself. While such a request reads table after table in one transaction, emptying them all
    is a deadlock, and the rows stay for the next test.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self._changed = threading.Condition()
        self._open = False
        self._inside = 0

    def __enter__(self) -> Self:
        with self._changed:
            self._open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._changed:
            self._open = False
            if not self._changed.wait_for(lambda: not self._inside, TIMEOUT_SECONDS):
                raise TimeoutError(f"{self._inside} requests did not end in {TIMEOUT_SECONDS} seconds")

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Let a request in, or answer that the test is over."""
        with self._changed:
            if not self._open:
                start_response("503 Service Unavailable", [("Content-Length", "0")])
                return []
            self._inside += 1
        try:
            return _Answer(self._application(environ, start_response), self._leave)
        except BaseException:
            self._leave()
            raise

    def _leave(self) -> None:
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()


class _Answer:
    """An answer whose request leaves when the server closes it, as it does after each, sent or not."""

    def __init__(self, answer: Iterable[bytes], leave: Callable[[], None]) -> None:
        self._answer, self._leave = answer, leave

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._answer)

    def close(self) -> None:
        """End the request."""
        try:
            close = getattr(self._answer, "close", None)
            if close is not None:
                close()
        finally:
            self._leave()
