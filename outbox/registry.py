"""Who listens to what: the consumers of a project, found at start-up in each app's ``consumers.py``."""

import inspect
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import lru_cache
from types import CodeType
from typing import TYPE_CHECKING, Any, TypeVar

from django.apps import apps

from outbox.conf import conf
from outbox.errors import ConsumerError
from outbox.policy import Backoff
from outbox.topics import NAME_LENGTH, is_pattern, is_topic, matches

if TYPE_CHECKING:
    from outbox.models import Message

Handler = Callable[..., object]
H = TypeVar("H", bound=Handler)

SETTLE_MARGIN = timedelta(seconds=10)
TIMES_IN_A_HINT = 4
"""How often an atomic consumer may use up its timeout in one hint: see ``Consumer.time_limit``."""
LONGEST_HINT = timedelta(minutes=15)
"""Half of RabbitMQ's default ``consumer_timeout`` (30 min): a hint that runs longer would stop its worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """One function that acts on the messages of a topic, and how it wants to be treated."""

    name: str
    pattern: str
    handler: Handler = field(repr=False)
    retry: Backoff
    timeout: timedelta
    chunk: int
    sort: "Callable[[Message], Any] | None"
    atomic: bool
    isolated: bool
    bulk: bool
    deadline: timedelta
    high_water: int | None

    @property
    def lease(self) -> timedelta:
        """How long a started row belongs to its worker; with ``atomic`` the row lock protects it after that."""
        return conf().lease if self.atomic else self.timeout + conf().lease

    @property
    def time_limit(self) -> timedelta:
        """Celery's hard limit for one hint: the timeout four times, with a margin, at least 30 s.

        A chunk takes no more rows when its time is up, so one row is late in it: a list that was called at once may
        be late before that. One row is late among those that are redone: in a first try, which met others, and in a
        last. Outside a transaction nothing else ends a row yet, so every row of a hint has its time.
        """
        times = TIMES_IN_A_HINT if self.atomic else self.chunk
        return max(timedelta(seconds=30), times * (self.timeout + timedelta(seconds=1)) + SETTLE_MARGIN)

    @property
    def hint_limit(self) -> int:
        """Hints that may wait in the consumer's queue before no more are sent."""
        return self.high_water or conf().high_water

    def listens_to(self, topic: str) -> bool:
        """Tell whether the consumer's pattern matches ``topic``."""
        return matches(self.pattern, topic)


_consumers: dict[str, Consumer] = {}
_topics: set[str] = set()


def consumer(
    pattern: str,
    *,
    name: str = "",
    retry: Backoff | None = None,
    timeout: timedelta = timedelta(seconds=15),
    chunk: int | None = None,
    sort: "Callable[[Message], Any] | None" = None,
    atomic: bool = True,
    isolated: bool = False,
    bulk: bool = False,
    deadline: timedelta = timedelta(days=7),
    high_water: int | None = None,
) -> Callable[[H], H]:
    """Make the decorated function the consumer of every topic that matches ``pattern``.

    In a pattern, as in a topic exchange, ``*`` is exactly one word and ``#`` any number of words. An atomic consumer
    (the default) runs inside the transaction that settles its message, so what it writes to the engine's database
    happens exactly once. Up to ``chunk`` messages share that transaction; with ``isolated=True`` each has one of its
    own, as ``SET LOCAL``, ``set_config(…, true)``, temporary tables, ``SET CONSTRAINTS`` and advisory locks need. With
    ``atomic=False`` it runs outside any transaction, row by row, for talking to others; with ``bulk=True`` it is called
    once with a list of messages. ``chunk`` is how many rows are delivered together
    (by default 50, with ``atomic=False`` 5), ``timeout`` is per call, ``sort`` orders a chunk, ``deadline`` counts from
    publishing, ``high_water`` is the number of hints the queue may hold. The name is ``app_label.function`` unless
    given; it stands in the table, so renaming a function needs ``name=``.

    A handler in a transaction that takes longer than ``timeout`` is broken off by an exception, what it wrote is rolled
    back, and the attempt has failed. If that cannot stop it, its process is ended. Both need a worker that runs
    processes (prefork). In threads and greenlets only a statement in the database is broken off: a handler that hangs
    elsewhere holds its place until Celery's limit or a restart, so give a timeout to whatever it calls. Outside a
    transaction nothing is broken off but by Celery's limit for the whole hint.

    A function may listen to a second pattern by a second decorator: two consumers, of which one needs ``name=``.

    Raises ``ConsumerError`` at start-up for a wrong pattern, name, option or function, and for a name taken twice.
    """
    _check_pattern(pattern)
    _check_spans(pattern, timeout=timeout, deadline=deadline)
    _check_counts(pattern, chunk=chunk, high_water=high_water)
    if retry is not None and not isinstance(retry, Backoff):
        raise ConsumerError(f"consumer({pattern!r}): retry={retry!r} is no outbox.Backoff")
    if sort is not None and not callable(sort):
        raise ConsumerError(f"consumer({pattern!r}): sort={sort!r} is no function of a message")
    if bulk and not atomic:
        raise ConsumerError(f"consumer({pattern!r}): bulk=True needs atomic=True")
    if isolated and (bulk or not atomic):
        raise ConsumerError(
            f"consumer({pattern!r}): isolated=True gives each message a transaction of its own; it goes with neither "
            "bulk=True nor atomic=False"
        )

    def register(handler: H) -> H:
        _check_handler(pattern, handler)
        entry = Consumer(
            name=name or _default_name(handler),
            pattern=pattern,
            handler=handler,
            retry=retry or Backoff(),
            timeout=timeout,
            chunk=chunk or (50 if atomic else 5),
            sort=sort,
            atomic=atomic,
            isolated=isolated,
            bulk=bulk,
            deadline=deadline,
            high_water=high_water,
        )
        _check_name(entry)
        if entry.time_limit > LONGEST_HINT:
            raise ConsumerError(
                f"consumer {entry.name}: a hint may take up to {entry.time_limit}, more than {LONGEST_HINT}; lower "
                + ("timeout" if entry.atomic else "chunk or timeout")
            )
        _consumers[entry.name] = entry
        _listening.cache_clear()
        return handler

    return register


def get(name: str) -> Consumer | None:
    """Return the consumer of that name, or None if the code has none."""
    return _consumers.get(name)


def all_consumers() -> Sequence[Consumer]:
    """Return every consumer, by name."""
    return [_consumers[name] for name in sorted(_consumers)]


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
    _listening.cache_clear()


@lru_cache(maxsize=1024)
def _listening(topic: str) -> tuple[Consumer, ...]:
    return tuple(entry for entry in all_consumers() if entry.listens_to(topic))


def _check_pattern(pattern: object) -> None:
    if not isinstance(pattern, str):
        raise ConsumerError(f'consumer({pattern!r:.100}): the topic comes first, as in @consumer("order.paid")')
    if not is_pattern(pattern):
        raise ConsumerError(f'consumer({pattern!r}): a pattern is words joined by dots, "*" and "#" among them')


def _check_spans(pattern: str, **options: object) -> None:
    for option, span in options.items():
        if not isinstance(span, timedelta) or span <= timedelta(0):
            raise ConsumerError(f"consumer({pattern!r}): {option}={span!r} is no timedelta greater than zero")


def _check_counts(pattern: str, **options: object) -> None:
    for option, count in options.items():
        if count is not None and (type(count) is not int or count < 1):
            raise ConsumerError(f"consumer({pattern!r}): {option}={count!r} is no whole number from 1 on")


def _check_handler(pattern: str, handler: object) -> None:
    """Refuse what would fail on every message, and above all what would seem to succeed without having run."""
    if isinstance(handler, type) or not callable(handler):
        raise ConsumerError(f"consumer({pattern!r}): {handler!r} is no function")
    for kind in (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction):
        if kind(handler):
            raise ConsumerError(
                f"consumer({pattern!r}): {handler!r} would not run when it is called: a consumer is a plain function, "
                "neither async (wrap it in asgiref.sync.async_to_sync) nor a generator"
            )
    try:
        inspect.signature(handler).bind(None)
    except ValueError:  # built in; nobody can tell
        return
    except TypeError as error:
        raise ConsumerError(f"consumer({pattern!r}): {handler!r} is called with one argument: {error}") from error


def _check_name(entry: Consumer) -> None:
    if not is_topic(entry.name) or len(entry.name) > NAME_LENGTH or entry.name in ("control", "dead"):
        raise ConsumerError(
            f"consumer name {entry.name!r}: words joined by dots, at most {NAME_LENGTH} characters, "
            'and not "control" or "dead"'
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


def _default_name(handler: Handler) -> str:
    config = apps.get_containing_app_config(handler.__module__)
    label = config.label if config else handler.__module__.rpartition(".")[0] or handler.__module__
    return f"{label}.{handler.__name__}"
