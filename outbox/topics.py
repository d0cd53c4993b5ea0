"""The grammar of topics and patterns, as in a topic exchange."""

import re
from functools import lru_cache

WORD = re.compile(r"[A-Za-z0-9_-]+")
NAME_LENGTH = 100
"""Characters that a consumer's name may have."""
TOPIC_LENGTH = 200
"""Characters that a topic may have."""
SOURCE_LENGTH = 50
"""Characters that a source's name may have."""
QUEUE_LENGTH = 255
"""Bytes of a queue's name, as AMQP has them."""


def is_topic(topic: object) -> bool:
    """Tell whether ``topic`` is words of letters, digits, "_" and "-" joined by dots, at most 200 characters."""
    return isinstance(topic, str) and 0 < len(topic) <= TOPIC_LENGTH and _is_words(topic)


@lru_cache(1024)
def _is_words(topic: str) -> bool:
    return all(WORD.fullmatch(word) for word in topic.split("."))


def is_pattern(pattern: str) -> bool:
    """Tell whether ``pattern`` is words joined by dots, ``*`` and ``#`` among them."""
    return all(word in ("*", "#") or WORD.fullmatch(word) for word in pattern.split("."))


def matches(pattern: str, topic: str) -> bool:
    """Tell whether a topic exchange would route ``topic`` to a queue bound by ``pattern``."""
    reachable = {0}
    words = pattern.split(".")
    for word in topic.split("."):
        reachable = {after for before in reachable for after in _step(words, before, word)}
    return len(words) in {end for position in reachable for end in _skip_hashes(words, position)}


def _step(words: list[str], position: int, word: str) -> set[int]:
    """Return the pattern positions after one more word of the topic."""
    after = set()
    for start in _skip_hashes(words, position):
        if start < len(words) and words[start] == "#":
            after.add(start)
        elif start < len(words) and words[start] in ("*", word):
            after.add(start + 1)
    return after


def _skip_hashes(words: list[str], position: int) -> set[int]:
    """Return ``position`` and every later one that is reached by letting ``#`` stand for no word."""
    reached = {position}
    while position < len(words) and words[position] == "#":
        position += 1
        reached.add(position)
    return reached
