"""One rule of the engine, the code that breaks it, and the tests that must notice."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """One replacement in one file of ``outbox/``."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    """A rule, the changes that break it, and the tests that must fail, as ``room/test_module::test``."""

    rule: str
    changes: tuple[Change, ...]
    tests: tuple[str, ...]


def mutant(rule: str, *changes: Change, red: Sequence[str]) -> Mutant:
    """Return the mutant as the catalogue writes it down."""
    return Mutant(rule, changes, tuple(red))
