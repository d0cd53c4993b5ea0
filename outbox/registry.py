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
from outbox.policy import Backoff, Rate
from outbox.topics import NAME_LENGTH, is_pattern, is_topic, matches

if TYPE_CHECKING:
    from outbox.models import Message

Handler = Callable[..., object]
H = TypeVar("H", bound=Handler)

SETTLE_MARGIN = timedelta(seconds=10)
TIMES_IN_A_HINT = 4
"""How often an atomic consumer may use up its timeout in one hint: see ``Consumer.time_limit``."""
OVERDUE = ("fail", "discard")
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
    concurrency: int
    rate: Rate | None
    at_most_once: bool
    overdue: str

    @property
    def is_async(self) -> bool:
        """Tell whether the handler is ``async def``."""
        return _is_async(self.handler)

    @property
    def wide(self) -> bool:
        """Tell whether the calls are made beside each other, by the process's own pool of places, and not in the hint.

        A rate is one, too: a call that must wait for its time must not hold up a hint.
        """
        return not self.atomic and (self.concurrency > 1 or self.is_async or self.bulk or self.rate is not None)

    @property
    def lease(self) -> timedelta:
        """How long a started row belongs to its worker.

        With ``atomic`` the row lock protects it after that. Calls made beside each other have a shorter one, which is
        renewed.
        """
        return conf().lease if self.atomic else self.timeout + conf().lease

    @property
    def rows_in_call(self) -> int:
        """How many messages one call has at most."""
        return self.chunk if self.bulk else 1

    def suspects_together(self, lost: int) -> int:
        """Return how many rows run beside each other that ``lost`` workers in a row were lost over.

        Where calls are made beside each other, half as many with each loss: what ends its worker is found among many
        innocent ones after few losses, and none of those is charged.
        """
        return max(1, self.concurrency >> lost) if self.wide else 1

    @property
    def time_limit(self) -> timedelta:
        """Celery's hard limit for one hint: the timeout four times, with a margin, at least 30 s.

        A chunk takes no more rows when its time is up, so one row is late in it: a list that was called at once may
        be late before that. One row is late among those that are redone: in a first try, which met others, and in a
        last. Outside a transaction nothing else ends a row yet, so every row of a hint has its time. Calls beside each
        other are not made in the hint.
        """
        if self.wide:
            return LONGEST_HINT
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
    concurrency: int = 1,
    rate: str | None = None,
    burst: int = 1,
    at_most_once: bool = False,
    overdue: str = "fail",
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

    With ``atomic=False`` up to ``concurrency`` calls are under way at once in a worker process: plain functions in
    threads of it, ``async def`` ones on its event loop. A call that takes longer than ``timeout`` is cancelled on the
    loop; a thread cannot be: the message has timed out all the same, and the thread keeps its place until it ends.
    ``rate`` ("100/s", "100/min", "100/h") is how often the consumer is called over all workers together; of what was
    not used, ``burst`` calls are saved up. ``at_most_once=True`` never makes a second call by itself, unless the first
    was certainly not made, or raised ``Snooze`` or ``Unavailable``. ``overdue="discard"`` closes a message whose
    deadline has passed, and leaves no work for a person, if no call for it was ever made; ``"fail"`` fails it.

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
    _check_counts(pattern, concurrency=concurrency, burst=burst)
    if overdue not in OVERDUE:
        raise ConsumerError(f"consumer({pattern!r}): overdue={overdue!r} is neither of {OVERDUE}")
    outside = {"concurrency": concurrency > 1, "rate": rate is not None, "at_most_once": at_most_once}
    if atomic and any(outside.values()):
        named = next(option for option, given in outside.items() if given)
        raise ConsumerError(f"consumer({pattern!r}): {named}= is for calls outside a transaction; give it atomic=False")
    if rate is None and burst > 1:
        raise ConsumerError(f"consumer({pattern!r}): burst= is of a rate; give it rate= as well")
    if at_most_once and (bulk or retry is not None):
        raise ConsumerError(
            f"consumer({pattern!r}): at_most_once=True makes one call for one message and never repeats it; it goes "
            "with neither bulk=True nor retry="
        )
    if isolated and (bulk or not atomic):
        raise ConsumerError(
            f"consumer({pattern!r}): isolated=True gives each message a transaction of its own; it goes with neither "
            "bulk=True nor atomic=False"
        )

    def register(handler: H) -> H:
        _check_handler(pattern, handler)
        if atomic and _is_async(handler):
            raise ConsumerError(
                f"consumer({pattern!r}): {handler!r} is async: no transaction is open across an await. Give it "
                "atomic=False, or make it a plain function"
            )
        entry = Consumer(
            name=name or _default_name(handler),
            pattern=pattern,
            handler=handler,
            retry=Backoff(limit=1) if at_most_once else retry or Backoff(),
            timeout=timeout,
            chunk=chunk or _default_chunk(atomic=atomic, bulk=bulk, concurrency=concurrency),
            sort=sort,
            atomic=atomic,
            isolated=isolated,
            bulk=bulk,
            deadline=deadline,
            high_water=high_water,
            concurrency=concurrency,
            rate=None if rate is None else Rate.parse(rate, burst=burst),
            at_most_once=at_most_once,
            overdue=overdue,
        )
        _check_name(entry)
        if not entry.wide and entry.time_limit > LONGEST_HINT:
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
    for kind in (inspect.isgeneratorfunction, inspect.isasyncgenfunction):
        if kind(handler):
            raise ConsumerError(
                f"consumer({pattern!r}): {handler!r} would not run when it is called: a consumer is a function, plain "
                "or async, and no generator"
            )
    try:
        inspect.signature(handler).bind(None)
    except ValueError:  # built in; nobody can tell
        return
    except TypeError as error:
        raise ConsumerError(f"consumer({pattern!r}): {handler!r} is called with one argument: {error}") from error


def _is_async(handler: object) -> bool:
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(handler, "__call__", None))  # noqa: B004


def _default_chunk(*, atomic: bool, bulk: bool, concurrency: int) -> int:
    """Return how many rows are delivered together: those of a transaction, of a list, or of the places of a process."""
    if atomic or bulk:
        return 50
    return max(5, concurrency)


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
