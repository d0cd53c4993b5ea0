"""What a process remembers of the tables from one message to the next, and how it forgets all of it.

Every memory is a shortcut: what is not remembered is looked up again. A test forgets, because it takes back what it has
written; so may whoever puts another database under a running process.
"""

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Generic, TypeVar

T = TypeVar("T")


class _ThreadSpace(threading.local):
    """A place of each thread's own."""


class Memory(Generic[T]):
    """One remembered value, made by ``make`` when it is first asked for, and made anew after ``forget_all``.

    With ``per_thread`` every thread has a value of its own, which no lock guards. A value that is forgotten is given to
    ``discard`` by the thread that asks next.
    """

    _generation = 0

    def __init__(
        self, make: Callable[[], T], *, per_thread: bool = False, discard: Callable[[T], object] | None = None
    ) -> None:
        self._make, self._discard = make, discard
        self._space: SimpleNamespace | _ThreadSpace = _ThreadSpace() if per_thread else SimpleNamespace()

    @property
    def value(self) -> T:
        """The value as it is remembered now."""
        held: tuple[int, T] | None = self._space.__dict__.get("held")
        if held is not None and held[0] == Memory._generation:
            return held[1]
        if held is not None and self._discard is not None:
            self._discard(held[1])
        made = self._make()
        self._space.__dict__["held"] = Memory._generation, made
        return made


def forget_all() -> None:
    """Forget everything that this process has remembered, in every thread of it."""
    Memory._generation += 1
