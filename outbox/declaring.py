"""``@consumer``: a project says which function acts on which topics, and how it wants to be called."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from django.apps import apps

from outbox import options, registry
from outbox.closings import Hook
from outbox.declared import Consumer, Question, default_chunk
from outbox.errors import ConsumerError
from outbox.options import Handler
from outbox.policy import Backoff, Rate

if TYPE_CHECKING:
    from decimal import Decimal

    from outbox.drafts import Draft
    from outbox.models import Message

H = TypeVar("H", bound="Callable[[Message], object] | Callable[[list[Message]], object]")
"""A function of a message, or with ``bulk=True`` of a list of them."""
CHUNKS_IN_RUN = 4
"""How much longer than a chunk a run may be: one process handles a key, and what a transaction costs is shared."""


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
    on_withdrawn: Hook | None = None,
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
      ``concurrency`` if that is more. Where it is not given, up to 200 of one ordering key may share a transaction.
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

    ``on_handled``, ``on_discarded``, ``on_reopened`` and ``on_withdrawn`` are plain functions of a list of ``Closing``,
    called in the transaction in which an operator does so to messages of this consumer. What they write to the
    engine's database is committed with it; what they raise refuses it, and the operator reads why (``Reject`` is for
    that). Without ``on_reopened`` what ``on_handled`` or ``on_discarded`` was told of cannot be reopened.
    ``on_exhausted`` is given what the machine has closed. It cannot refuse: it is told by a message of a consumer of
    its own, ``<name>.exhausted``, which is published with the end, and has retries and a place at the desk.

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
            "on_withdrawn": on_withdrawn,
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
        usual = default_chunk(atomic=atomic, bulk=bulk, concurrency=concurrency)
        entry = Consumer(
            name=name or _default_name(handler),
            pattern=pattern,
            handler=handler,
            retry=Backoff(limit=1) if at_most_once else retry or Backoff(),
            timeout=timeout,
            chunk=chunk or usual,
            run=chunk or usual * (1 if bulk else CHUNKS_IN_RUN),
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
            on_withdrawn=on_withdrawn,
            value=value,
        )
        registry.add(entry, on_exhausted=on_exhausted)
        return handler

    return register


def _default_name(handler: Handler) -> str:
    if not hasattr(handler, "__name__"):
        raise ConsumerError(f"{handler!r:.200} has no name of its own; give its consumer name=")
    config = apps.get_containing_app_config(handler.__module__)
    label = config.label if config else handler.__module__.rpartition(".")[0] or handler.__module__
    return f"{label}.{handler.__name__}"
