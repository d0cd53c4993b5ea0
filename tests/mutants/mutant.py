"""One rule of the engine or of the awards, the code that breaks it, and the tests that must notice."""

from collections.abc import Sequence
from dataclasses import dataclass

ENGINE, AWARDS = "outbox", "awards"
"""The two rooms whose rules are broken, and their tests beside them in ``tests/``."""


@dataclass(frozen=True)
class Change:
    """One replacement in one file of ``outbox/``, or of another room."""

    file: str
    old: str
    new: str
    room: str = ENGINE

    @property
    def path(self) -> str:
        """The file, from the project's folder on."""
        return f"{self.room}/{self.file}"


@dataclass(frozen=True)
class Mutant:
    """A rule, the changes that break it, and the tests that must fail, as ``outbox/room/test_module::test``."""

    rule: str
    changes: tuple[Change, ...]
    tests: tuple[str, ...]


def mutant(rule: str, *changes: Change, red: Sequence[str], room: str = ENGINE) -> Mutant:
    """Return the mutant as the catalogue writes it down: its tests without the room."""
    return Mutant(rule, changes, tuple(f"{room}/{test}" for test in red))


def of_awards(file: str, old: str, new: str) -> Change:
    """Return a replacement in one file of ``awards/``."""
    return Change(file, old, new, AWARDS)
