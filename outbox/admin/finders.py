"""How a project finds its messages by its own words: an award number, a person, a vendor's order."""

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

from django.db.models import Q

from outbox import topics
from outbox.models import Message

log = logging.getLogger("outbox.desk")

KEYS_TAKEN = 200
"""Business ids that are taken of one finder at most."""

Finder = Callable[[str], Iterable[object]]
F = TypeVar("F", bound=Finder)

_finders: dict[str, Finder] = {}


def find(pattern: str) -> Callable[[F], F]:
    """Make the decorated function find the messages whose topic matches ``pattern`` (as in ``consumer``).

    It is given what a person has typed into the search, stripped, and returns the business ids (``key``) it means, the
    likeliest first; of more than 200 the rest is left out. It answers by an index, for it is asked at each search.
    """

    def register(finder: F) -> F:
        _finders[pattern] = finder
        return finder

    return register


def forget_finder(pattern: str) -> None:
    """Take a finder out again; for tests."""
    _finders.pop(pattern, None)


def find_keys(text: str) -> tuple[dict[str, list[str]], bool]:
    """Return what the finders mean by ``text``, by pattern, and whether one of them failed."""
    found: dict[str, list[str]] = {}
    failed = False
    for pattern, finder in _finders.items():
        try:
            keys = [str(key) for key, _number in zip(finder(text), range(KEYS_TAKEN), strict=False)]
        except Exception:  # a finder is the host's code; its mistake must not take the search away
            log.exception("finding messages of %r failed; the search goes on without it", pattern)
            failed = True
        else:
            found |= {pattern: keys} if keys else {}
    return found, failed


def among(found: dict[str, list[str]]) -> Q:
    """Keep the messages with these keys; whether the topic is theirs is told by ``is_foreign``."""
    return Q(key__in={key for keys in found.values() for key in keys})


def is_foreign(message: Message, found: dict[str, list[str]]) -> bool:
    """Tell whether the message has a key that finders gave, and none of them speaks of its topic."""
    patterns = [pattern for pattern, keys in found.items() if message.key in keys]
    return bool(patterns) and not any(topics.matches(pattern, message.topic) for pattern in patterns)
