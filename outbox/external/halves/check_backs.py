"""The checks of a project, declared in each app's ``consumers.py``: who is asked whether a write was done."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from outbox import options
from outbox.advice import as_timedelta
from outbox.errors import ConsumerError
from outbox.policy import Backoff
from outbox.topics import NAME_LENGTH, is_topic

if TYPE_CHECKING:
    from outbox.models import Half

Question = Callable[["Half"], object]
"""A function of a half message, plain or async. True: it was written; False: it was not and never will be; None."""
Q = TypeVar("Q", bound=Question)
WAITS = Backoff(limit=16, first=timedelta(seconds=10), cap=timedelta(hours=1))
"""Between two questions. The last is asked some seven and a half hours after the first."""
LONGEST_CHECK = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckBack:
    """A check, how long it may take, and how often it is asked before a person is."""

    name: str
    function: Question = field(repr=False)
    timeout: timedelta
    retry: Backoff


_checks: dict[str, CheckBack] = {}


def check_back(name: str, *, timeout: timedelta = timedelta(seconds=15), retry: Backoff = WAITS) -> Callable[[Q], Q]:
    """Make the decorated function the check ``name``, which is asked of half messages whose end nobody has heard of.

    It is given the half message (``write_id``, ``topic``, ``key``, ``payload``, ``headers``) and returns

    - True: the write was done. The message is published.
    - False: it was not done, *and never will be*. The half message is taken back. It may say so only after it has made
      a later write impossible, as by a row *void* under the same unique key: the producer may only be slow.
    - None: not known yet. It is asked again.

    It is asked again, too, after an error, another return value, and where no answer came within ``timeout`` (15 s).
    ``retry`` is how often, and after which waits; by default 16 times in nine hours. Then a person decides.
    ``Unavailable`` says that the other side is down, and does not count.

    It may be asked several times at once, so all that it does must be right when it is done twice.

    Raises ``ConsumerError`` for a wrong name or option, and for a name taken twice.
    """
    if not isinstance(name, str) or not is_topic(name) or len(name) > NAME_LENGTH:
        raise ConsumerError(f"check_back({name!r:.150}): words joined by dots, at most {NAME_LENGTH} characters")
    if not isinstance(timeout, timedelta) or not timedelta(0) < timeout <= LONGEST_CHECK:
        raise ConsumerError(
            f"check_back({name!r}, timeout={timeout!r:.100}): a timedelta of at most {LONGEST_CHECK}"
            f"{as_timedelta(timeout)}"
        )
    if not isinstance(retry, Backoff):
        raise ConsumerError(f"check_back({name!r}, retry={retry!r:.100}): a Backoff")

    def register(function: Q) -> Q:
        if not callable(function):
            raise ConsumerError(f"check_back({name!r}): {function!r:.100} is no function")
        known = _checks.get(name)
        if known is not None and _place_of(known.function) != _place_of(function):
            raise ConsumerError(
                f"two checks are named {name!r}: {_place_of(known.function)} and {_place_of(function)}; a half message "
                "would not know which to ask"
            )
        _checks[name] = CheckBack(name=name, function=function, timeout=timeout, retry=retry)
        return function

    return register


def get(name: str) -> CheckBack | None:
    """Return the check of that name, or None if the code has none."""
    return _checks.get(name)


def all_checks() -> Sequence[CheckBack]:
    """Return every check, by name."""
    return [_checks[name] for name in sorted(_checks)]


def forget_check(name: str) -> None:
    """Take a check out again; for tests."""
    _checks.pop(name, None)


def _place_of(function: Any) -> str:
    return f"{getattr(function, '__module__', '')}.{options.name_of(function)}"
