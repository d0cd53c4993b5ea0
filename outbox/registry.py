"""Who listens to what: the consumers of a project, found at start-up in each app's ``consumers.py``."""

import inspect
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import lru_cache
from types import CodeType
from typing import TYPE_CHECKING, Any, TypeVar

from django.apps import apps

from outbox import options
from outbox.closings import EXHAUSTED, Hook, handler_of
from outbox.conf import conf
from outbox.errors import ConsumerError
from outbox.options import Handler
from outbox.policy import Backoff, Rate
from outbox.topics import NAME_LENGTH, is_topic, matches

if TYPE_CHECKING:
    from decimal import Decimal

    from outbox.models import Message
    from outbox.publishing import Draft

Question = Callable[["Message"], object]
"""A function of a message, plain or async, that asks the other side what it has of it: a text, or None for nothing."""
H = TypeVar("H", bound="Callable[[Message], object] | Callable[[list[Message]], object]")
"""A function of a message, or with ``bulk=True`` of a list of them."""

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
    concurrency: int
    rate: Rate | None
    at_most_once: bool
    overdue: str
    rehearsable: bool
    locked: tuple[str, ...]
    ask: "Question | None" = field(repr=False)
    value: "bool | Callable[[Draft], tuple[Decimal | int, str] | None]"
    on_handled: Hook | None = field(repr=False)
    on_discarded: Hook | None = field(repr=False)
    on_reopened: Hook | None = field(repr=False)
    tells_of: str = ""
    """The consumer of whose ends this one tells the project, where the engine has made it for ``on_exhausted``."""

    @property
    def hooks(self) -> list[Hook]:
        """Return what the project is told by, of all that is given."""
        told_by = (self.on_handled, self.on_discarded, self.on_reopened, self.handler if self.tells_of else None)
        return [hook for hook in told_by if hook is not None]

    @property
    def closes_for_good(self) -> bool:
        """Tell whether the business follows what closes a message by hand, and has no way to take that back."""
        return (self.on_handled is not None or self.on_discarded is not None) and self.on_reopened is None

    @property
    def is_async(self) -> bool:
        """Tell whether the handler is ``async def``."""
        return options.is_async(self.handler)

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
        """Return how many rows may run together once ``lost`` workers in a row were lost over them.

        Where calls are made beside each other: half as many with each loss. So the row that ends its worker is found
        among many others after few losses, and none of the others is charged an attempt.
        """
        return max(1, self.concurrency >> lost) if self.wide else 1

    @property
    def time_limit(self) -> timedelta:
        """Celery's hard limit for one hint: the timeout four times, with a margin, at least 30 s.

        An atomic consumer may use its timeout up four times: in the call for a whole list, in the row that is under way
        when the chunk's time is up, and in the first and the last try of a row that is redone. Outside a transaction
        nothing else ends a call, so each row of the chunk may take its timeout. The limit means nothing to calls that
        are made beside each other: they are not made in the hint.
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
    rehearsable: bool = False,
    locked: Sequence[str] = (),
    ask: "Question | None" = None,
    on_handled: Hook | None = None,
    on_discarded: Hook | None = None,
    on_reopened: Hook | None = None,
    on_exhausted: Hook | None = None,
    value: "bool | Callable[[Draft], tuple[Decimal | int, str] | None]" = True,
) -> Callable[[H], H]:
    """Make the decorated function the consumer of every topic that matches ``pattern``.

    In a pattern ``*`` is exactly one word and ``#`` any number of words, as in a topic exchange.

    - ``name``: its identity in the table and in its queue's name, by default ``app_label.function``. Before you rename
      or move the function, give it the old name here.
    - ``retry``: how often, and after which waits, a failed attempt is followed by another.
    - ``timeout``: the longest time of one call; 15 s.
    - ``deadline``: the message fails as expired after this time; 7 days, from when it may be started.
    - ``overdue``: ``"fail"``, or ``"discard"``: a message past its deadline is closed and no work for a person, if no
      call was ever made for it.
    - ``atomic``: True runs it in the transaction that settles its message, so what it writes to the engine's database
      happens exactly once. False runs it outside any transaction, for talking to others.
    - ``isolated``: each message has a transaction of its own. ``SET LOCAL``, ``set_config(…, true)``, temporary tables,
      ``SET CONSTRAINTS`` and advisory locks need that.
    - ``bulk``: it is called once with a list of up to ``chunk`` messages.
    - ``chunk``: how many messages share a transaction or are delivered together; 50, with ``atomic=False`` 5, or
      ``concurrency`` if that is more.
    - ``sort``: a function of a message, by whose result a chunk is ordered, against deadlocks.
    - ``high_water``: how many hints may wait in its queue, by default ``OUTBOX["HIGH_WATER"]``.

    With ``atomic=False`` only:

    - ``concurrency``: how many calls a worker process makes at once; 1. Plain functions run in threads, ``async def``
      ones on one event loop.
    - ``rate``: how often it is called over all workers together: ``"100/s"``, ``"100/min"``, ``"100/h"``.
    - ``burst``: how many unused calls of the rate are saved up; 1.
    - ``ask``: a function of a message that asks the other side what it has of it. It returns a text, such as the number
      of the order, or None for nothing; it changes nothing, here or there. Operators ask by it at the desk.
    - ``at_most_once``: the machine makes no second call, unless the first was certainly not made, or raised ``Snooze``
      or ``Unavailable``.

    A handler in a transaction that takes longer than ``timeout`` is broken off by an exception: what it wrote is rolled
    back, and the attempt has failed. If that cannot stop it, its process is ended. Both need a worker of processes
    (prefork). With threads and greenlets only a statement in the database is broken off: a handler that hangs elsewhere
    keeps its place until Celery's limit or a restart, so give a timeout to whatever it calls.

    Outside a transaction a call is broken off only by Celery's limit for the whole hint. Calls made beside each other
    (``concurrency``, ``rate``, ``bulk``, ``async def``) have a limit each: on the event loop a call is cancelled at its
    ``timeout``. A thread cannot be: its message has timed out all the same, and the thread keeps its place until it
    ends.

    ``rehearsable=True`` is its author's promise that a rollback undoes all that an atomic handler does. Then failed
    messages can be rehearsed: called by today's code and rolled back, to see what a retry would come to.

    ``locked`` names keys of the payload that no edit may change, as ``["order", "amount"]``; with dots inside objects.

    ``on_handled``, ``on_discarded`` and ``on_reopened`` are plain functions of a list of ``Closing``, called in the
    transaction in which an operator does so to messages of this consumer. What they write to the engine's database is
    committed with it; what they raise refuses it, and the operator reads why (``Reject`` is for that). Without
    ``on_reopened`` what the others were told of cannot be reopened. ``on_exhausted`` is given what the machine has
    closed. It cannot refuse: it is told by a message of a consumer of its own, ``<name>.exhausted``, which is published
    with the end, and has retries and a place at the desk.

    ``value`` is what is at stake while a message is not kept: by default what ``publish(value=)`` has said, ``False``
    for nothing at all (a mail that is not sent puts no prize at stake), or a function of the draft that returns amount
    and currency, or None.

    A function may listen to a second pattern by a second decorator: two consumers, of which one needs ``name=``.

    Raises ``ConsumerError`` at start-up for a wrong pattern, name, option or function, and for a name taken twice.
    """
    options.check_pattern(pattern)
    options.check_each(
        pattern,
        switches={
            "atomic": atomic,
            "isolated": isolated,
            "bulk": bulk,
            "at_most_once": at_most_once,
            "rehearsable": rehearsable,
        },
        spans={"timeout": timeout, "deadline": deadline},
        counts={"chunk": chunk, "high_water": high_water, "concurrency": concurrency, "burst": burst},
        hooks={
            "on_handled": on_handled,
            "on_discarded": on_discarded,
            "on_reopened": on_reopened,
            "on_exhausted": on_exhausted,
        },
    )
    options.check_kinds(pattern, retry=retry, sort=sort, overdue=overdue, value=value, locked=locked, ask=ask)
    options.check_together(
        pattern,
        atomic=atomic,
        isolated=isolated,
        bulk=bulk,
        rehearsable=rehearsable,
        at_most_once=at_most_once,
        retry=retry,
        rate=rate,
        burst=burst,
        concurrency=concurrency,
        ask=ask,
    )

    def register(handler: H) -> H:
        options.check_handler(pattern, handler)
        if atomic and options.is_async(handler):
            raise ConsumerError(
                f"consumer({pattern!r}): {options.name_of(handler)} is async: no transaction is open across an await. "
                "Give it atomic=False, or make it a plain function"
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
            rehearsable=rehearsable,
            locked=tuple(locked),
            ask=ask,
            on_handled=on_handled,
            on_discarded=on_discarded,
            on_reopened=on_reopened,
            value=value,
        )
        _check_name(entry)
        if not entry.wide and entry.time_limit > LONGEST_HINT:
            raise ConsumerError(
                f"consumer {entry.name}: a hint may take up to {entry.time_limit}, more than {LONGEST_HINT}; lower "
                + ("timeout" if entry.atomic else "chunk or timeout")
            )
        teller = None if on_exhausted is None else _teller(entry, on_exhausted)
        _consumers[entry.name] = entry
        if teller is not None:
            _consumers[teller.name] = teller
        _listening.cache_clear()
        return handler

    return register


def _teller(entry: Consumer, hook: Hook) -> Consumer:
    """Return the consumer whose messages tell ``hook`` what the machine has closed of ``entry``."""
    teller = Consumer(
        name=f"{entry.name}.{EXHAUSTED}",
        pattern=f"{entry.name}.{EXHAUSTED}",
        handler=handler_of(hook),
        retry=Backoff(),
        timeout=timedelta(seconds=15),
        chunk=_default_chunk(atomic=True, bulk=True, concurrency=1),
        sort=None,
        atomic=True,
        isolated=False,
        bulk=True,
        deadline=timedelta(days=7),
        high_water=None,
        concurrency=1,
        rate=None,
        at_most_once=False,
        overdue="fail",
        rehearsable=False,
        locked=(),
        ask=None,
        value=False,
        on_handled=None,
        on_discarded=None,
        on_reopened=None,
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
    if not hasattr(handler, "__name__"):
        raise ConsumerError(f"{handler!r:.200} has no name of its own; give its consumer name=")
    config = apps.get_containing_app_config(handler.__module__)
    label = config.label if config else handler.__module__.rpartition(".")[0] or handler.__module__
    return f"{label}.{handler.__name__}"
