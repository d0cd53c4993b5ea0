"""What a consumer may be declared with: each option is looked at where it is written, and refused in a sentence.

Everything here raises ``ConsumerError``.
"""

import inspect
from collections.abc import Callable, Mapping
from datetime import timedelta

from outbox.advice import as_timedelta
from outbox.errors import ConsumerError
from outbox.policy import Backoff
from outbox.topics import is_pattern

Handler = Callable[..., object]
OVERDUE = ("fail", "discard")


def check_each(
    pattern: str,
    *,
    switches: Mapping[str, object],
    spans: Mapping[str, object],
    counts: Mapping[str, object],
    hooks: Mapping[str, object],
) -> None:
    """Look at each option by itself, by what it must be; a count and a hook may be left out."""
    _check_switches(pattern, **switches)
    _check_spans(pattern, **spans)
    _check_counts(pattern, **counts)
    for option, hook in hooks.items():
        if hook is not None:
            _check_hook(pattern, option, hook)


def check_kinds(
    pattern: str, *, retry: object, sort: object, overdue: object, value: object, locked: object, ask: object
) -> None:
    """Look at the options of which each is of a kind of its own."""
    if retry is not None and not isinstance(retry, Backoff):
        raise ConsumerError(
            f"consumer({pattern!r}): retry={retry!r} is no outbox.Backoff; write retry=Backoff(limit=8)"
        )
    if sort is not None and not callable(sort):
        raise ConsumerError(f"consumer({pattern!r}): sort={sort!r} is no function of a message")
    if overdue not in OVERDUE:
        raise ConsumerError(f"consumer({pattern!r}): overdue={overdue!r} is neither of {OVERDUE}")
    if not isinstance(value, bool) and not callable(value):
        raise ConsumerError(
            f"consumer({pattern!r}): value={value!r} is neither True or False nor a function of a draft"
        )
    if ask is not None:
        if isinstance(ask, type) or not callable(ask):
            raise ConsumerError(f"consumer({pattern!r}): ask={ask!r} is no function of a message")
        _check_not_generator(pattern, ask)
        _check_one_argument(pattern, ask, "the message")
    if not isinstance(locked, list | tuple) or not all(isinstance(key, str) and key for key in locked):
        raise ConsumerError(
            f'consumer({pattern!r}): locked={locked!r} is no list of keys; write locked=["order", "amount"]'
        )


def check_together(
    pattern: str,
    *,
    atomic: bool,
    isolated: bool,
    bulk: bool,
    rehearsable: bool,
    at_most_once: bool,
    retry: Backoff | None,
    rate: str | None,
    burst: int,
    concurrency: int,
    ask: Handler | None,
) -> None:
    """Look at the options that go together, or do not."""
    of_calls = {
        "concurrency": concurrency > 1,
        "rate": rate is not None,
        "at_most_once": at_most_once,
        "ask": ask is not None,
    }
    outside = [option for option, given in of_calls.items() if given]
    if atomic and outside:
        raise ConsumerError(
            f"consumer({pattern!r}): {outside[0]}= is for calls outside a transaction; give it atomic=False"
        )
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
    if rehearsable and not atomic:
        raise ConsumerError(
            f"consumer({pattern!r}): rehearsable=True promises that a rollback undoes what the handler does; with "
            "atomic=False there is none"
        )


def check_pattern(pattern: object) -> None:
    """Raise ``ConsumerError`` for what is no topic and no pattern."""
    if not isinstance(pattern, str):
        shown = name_of(pattern) if callable(pattern) else repr(pattern)[:100]
        raise ConsumerError(f'consumer({shown}): the topic comes first, as in @consumer("order.paid")')
    if not is_pattern(pattern):
        raise ConsumerError(f'consumer({pattern!r}): a pattern is words joined by dots, "*" and "#" among them')


def _check_switches(pattern: str, **options: object) -> None:
    for option, switch in options.items():
        if type(switch) is not bool:
            raise ConsumerError(f"consumer({pattern!r}): {option}={switch!r} is neither True nor False")


def _check_spans(pattern: str, **options: object) -> None:
    for option, span in options.items():
        if not isinstance(span, timedelta) or span <= timedelta(0):
            raise ConsumerError(
                f"consumer({pattern!r}): {option}={span!r} is no timedelta greater than zero{as_timedelta(span)}"
            )


def _check_counts(pattern: str, **options: object) -> None:
    for option, count in options.items():
        if count is not None and (type(count) is not int or count < 1):
            raise ConsumerError(f"consumer({pattern!r}): {option}={count!r} is no whole number from 1 on")


def check_handler(pattern: str, handler: object) -> None:
    """Refuse what would fail on every message, and above all what would seem to succeed without having run."""
    if isinstance(handler, type) or not callable(handler):
        raise ConsumerError(f"consumer({pattern!r}): {handler!r} is no function")
    _check_not_generator(pattern, handler)
    _check_one_argument(pattern, handler, "the message")


def _check_hook(pattern: str, option: str, hook: object) -> None:
    """Refuse the same of a hook. It runs in the transaction of an act, so it is never async."""
    if isinstance(hook, type) or not callable(hook) or is_async(hook):
        raise ConsumerError(f"consumer({pattern!r}): {option}={name_of(hook)} is no plain function")
    _check_not_generator(pattern, hook)
    _check_one_argument(pattern, hook, "a list of closings")


def _check_not_generator(pattern: str, handler: Handler) -> None:
    for kind in (inspect.isgeneratorfunction, inspect.isasyncgenfunction):
        if kind(handler):
            raise ConsumerError(
                f"consumer({pattern!r}): {name_of(handler)} would not run when it is called: a consumer is a function, "
                "plain or async, and no generator"
            )


def _check_one_argument(pattern: str, handler: Handler, argument: str) -> None:
    try:
        inspect.signature(handler).bind(None)
    except ValueError:  # built in; nobody can tell
        return
    except TypeError as error:
        raise ConsumerError(
            f"consumer({pattern!r}): {name_of(handler)} is called with one argument, {argument}: {error}"
        ) from error


def name_of(handler: object) -> str:
    """Return a handler's name as its author knows it."""
    return str(getattr(handler, "__qualname__", None) or repr(handler))


def is_async(handler: object) -> bool:
    """Tell whether a function is ``async def``, or what it is the ``__call__`` of."""
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(handler, "__call__", None))  # noqa: B004
