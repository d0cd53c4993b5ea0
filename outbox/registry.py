"""Who listens to what: the consumers of a project, found at start-up in each app's ``consumers.py``."""

import inspect
from collections.abc import Sequence, Set
from dataclasses import replace
from functools import lru_cache
from types import CodeType

from outbox.closings import EXHAUSTED, Hook, handler_of
from outbox.declared import LONGEST_HINT, Consumer, default_chunk
from outbox.errors import ConsumerError
from outbox.options import Handler
from outbox.topics import NAME_LENGTH, is_topic

RESERVED = ("control", "dead", "receipts")
"""What queues of the engine are called, behind the prefix."""

_consumers: dict[str, Consumer] = {}
_topics: set[str] = set()


def add(entry: Consumer, *, on_exhausted: Hook | None = None) -> None:
    """Let ``entry`` be one of the consumers; ``ConsumerError`` for a wrong name and for one that another has."""
    _check_name(entry)
    if not entry.wide and entry.time_limit > LONGEST_HINT:
        raise ConsumerError(
            f"consumer {entry.name}: a hint may take up to {entry.time_limit}, more than {LONGEST_HINT}; lower "
            + ("timeout" if entry.works_in_chunks else "chunk or timeout")
        )
    teller = None if on_exhausted is None else _teller(entry, on_exhausted)
    _consumers[entry.name] = entry
    if teller is not None:
        _consumers[teller.name] = teller
    _listening.cache_clear()


def _teller(entry: Consumer, hook: Hook) -> Consumer:
    """Return the consumer whose messages tell ``hook`` what the machine has closed of ``entry``."""
    name = f"{entry.name}.{EXHAUSTED}"
    chunk = default_chunk(atomic=True, bulk=True, concurrency=1)
    teller = Consumer(
        name=name,
        pattern=name,
        handler=handler_of(hook),
        chunk=chunk,
        run=chunk,
        atomic=True,
        bulk=True,
        value=False,
        tells_of=entry.name,
    )
    _check_name(teller)
    return teller


def teller_of(name: str) -> Consumer | None:
    """Return the consumer that tells the project what the machine has closed of the one named, if it is to be told."""
    teller = _consumers.get(f"{name}.{EXHAUSTED}")
    return teller if teller is not None and teller.tells_of == name else None


def get(name: str) -> Consumer | None:
    """Return the consumer of that name, or None if the code has none."""
    return _consumers.get(name)


def all_consumers() -> Sequence[Consumer]:
    """Return every consumer, by name."""
    return [_consumers[name] for name in sorted(_consumers)]


def consumer_names() -> list[str]:
    """Return the names of all consumers in the code, in their order."""
    return sorted(_consumers)


def consumers_of(topic: str) -> Sequence[Consumer]:
    """Return the consumers that listen to ``topic``, by name."""
    return _listening(topic)


def declare_topics(*topics: str) -> None:
    """Say which topics there are: from then on ``publish`` refuses any other, though a wildcard would match it.

    It may be called several times, as in each app's ``consumers.py``; what is declared adds up. Raises
    ``ConsumerError`` for what is no topic; a pattern is none.
    """
    for topic in topics:
        if not is_topic(topic):
            raise ConsumerError(
                f"declare_topics({topic!r:.200}): a topic is words of letters, digits, _ and - joined by dots, "
                "without wildcards"
            )
    _topics.update(topics)


def declared_topics() -> Set[str]:
    """Return the topics that are declared; none means that any may be published to which a consumer listens."""
    return _topics


def forget_topics() -> None:
    """Take all declared topics back; for tests."""
    _topics.clear()


def forget_consumer(name: str) -> None:
    """Take a consumer out again; for tests and for code that is unloaded."""
    _consumers.pop(name, None)
    _consumers.pop(f"{name}.{EXHAUSTED}", None)
    _listening.cache_clear()


@lru_cache(maxsize=1024)
def _listening(topic: str) -> tuple[Consumer, ...]:
    return tuple(entry for entry in all_consumers() if entry.listens_to(topic))


def _check_name(entry: Consumer) -> None:
    if not is_topic(entry.name) or len(entry.name) > NAME_LENGTH or entry.name in RESERVED:
        raise ConsumerError(
            f"consumer name {entry.name!r}: words joined by dots, at most {NAME_LENGTH} characters, "
            f"and none of {', '.join(RESERVED)}"
        )
    known = _consumers.get(entry.name)
    if known is not None and not _is_made_again(known, entry):
        raise ConsumerError(
            f"two consumers are named {entry.name!r}; give one of them name=, or the first would stop existing: "
            f"{known.pattern!r} in {_place_of(known.handler)}, and {entry.pattern!r} in {_place_of(entry.handler)}"
        )


def _is_made_again(known: Consumer, entry: Consumer) -> bool:
    """Tell whether the two are one declaration whose module was imported again, as by a reloader.

    Then the code is equal, line included, but compiled anew. The very same code under one name is one function with
    two decorators, or a wrapper around two functions, unless the declarations are equal as well.
    """
    old, new = _code_of(known.handler), _code_of(entry.handler)
    if _place_of(known.handler) != _place_of(entry.handler) or old != new:
        return False
    return (old is not None and old is not new) or replace(known, handler=entry.handler) == entry


def _code_of(handler: Handler) -> CodeType | None:
    code = getattr(inspect.unwrap(handler), "__code__", None)
    return code if isinstance(code, CodeType) else None


def _place_of(handler: Handler) -> str:
    code = _code_of(handler)
    if code is not None:
        return f"{code.co_filename}, line {code.co_firstlineno}"
    return f"{handler.__module__}.{getattr(handler, '__qualname__', repr(handler))}"
