"""What is known of a failure beside its text: why no exception made it, and whether the other side may have acted."""

import re
from collections.abc import Iterator

from outbox.errors import HandlerSignal
from outbox.policy import Reason

TITLES = {
    Reason.NO_TRIES_LEFT: "no tries left",
    Reason.TIMED_OUT: "its handler took longer than the consumer's timeout",
    Reason.REJECTED: "rejected",
    Reason.WORKER_LOST: "its worker did not settle it in time, again and again",
    Reason.EXPIRED: "the deadline passed before it succeeded",
    Reason.CONSUMER_GONE: "the consumer is not in the code any more",
    Reason.NOT_TAKEN: "no worker took it",
    Reason.UNROUTABLE: "its exchange had no queue for it, again and again",
    Reason.REFUSED: "the broker closes the channel over it, again and again",
    Reason.NO_RECEIPT: "its receiver said nothing in time, again and again",
    Reason.MAY_HAVE_HAPPENED: "its worker was lost in the call, and it is never called twice",
    Reason.EFFECT_UNKNOWN: "an earlier call began its effect, and nobody knows how that ended",
    Reason.ENDED_TRANSACTION: "its handler ended the transaction in which it was called",
}
"""Each reason in English, for log lines and for the names of failure groups. The desk has it in the reader's words."""

SERVER_ERROR = 500
NOTHING_SENT = re.compile(r"Connect(Error|Timeout)|ConnectionRefused|PoolTimeout|NewConnection|NameResolution|gaierror")
"""Names of classes of errors after which the other side has seen nothing."""
CUT_OFF = re.compile(
    "Time_?d?_?[Oo]ut|Disconnect|ProtocolError|IncompleteRead|BadStatusLine|BrokenPipe|(Read|Write|Close)Error|"
    "ConnectionReset|ConnectionAborted|DeadlineExceeded"
)
"""Names of classes of errors by which libraries say that a request was cut off after it was sent."""
WRAPPERS = re.compile(r"ConnectionError|MaxRetryError|URLError")
"""Names of classes of errors that libraries raise while handling the one that says what has happened."""


def may_have_acted(error: BaseException) -> bool:
    """Tell whether the system that a handler was talking to may have done what it was asked, although this was raised.

    An exception, or one that it was raised from, can say so itself by an attribute ``may_have_acted`` (a bool). Else a
    ``response`` with a ``status_code`` decides (from 500 on: yes), or the class: time-outs and broken connections yes,
    connections that were never made no. The outermost exception that decides is believed.

    An error that was merely being handled is of another call, perhaps: it may say yes, and never no.
    """
    decided = _first_decision(error)
    if decided is not None:
        return decided
    return any(isinstance(raised, ConnectionError) and _decide(raised) is None for raised, _own in _chain(error))


def said_to_have_acted(error: BaseException) -> bool | None:
    """Tell the same, where the error says so; None where it does not, so that nobody knows.

    A handler's own word (``Reject``, ``Snooze``, ``Unavailable``) says that it has not, unless it says more itself.
    """
    said = _attribute(error, "may_have_acted")
    if isinstance(error, HandlerSignal) and not isinstance(said, bool):
        return False
    return _first_decision(error)


def _first_decision(error: BaseException) -> bool | None:
    """Return what the outermost error says that decides; a call before it that was cut off counts all the same."""
    first: bool | None = None
    for raised, is_own in _chain(error):
        decided = _decide(raised)
        if decided and not (first is False and type(raised).__module__ == "builtins"):
            return True
        if decided is False and is_own and first is None:
            if _attribute(raised, "may_have_acted") is False:
                return False
            # Python's own time-out below is how this call came to nothing; a library's is of another call.
            first = False
    return first


def _decide(raised: BaseException) -> bool | None:
    said = _attribute(raised, "may_have_acted")
    if isinstance(said, bool):
        return said
    status = _attribute(_attribute(raised, "response"), "status_code")
    if isinstance(status, int):
        return status >= SERVER_ERROR
    for kind in type(raised).__mro__:
        if NOTHING_SENT.match(kind.__name__):
            return False
        if CUT_OFF.search(kind.__name__):
            return True
    return None


def _chain(error: BaseException) -> Iterator[tuple[BaseException, bool]]:
    """Yield the error and those that it was raised from, or while handling which it was raised; and whose they are.

    True: it is of the same call. False: it was only being handled, as where a second supplier is asked.
    """
    seen: set[int] = set()
    raised: BaseException | None = error
    is_own = True
    while raised is not None and id(raised) not in seen:
        yield raised, is_own
        seen.add(id(raised))
        is_own = is_own and (raised.__cause__ is not None or _wraps(raised))
        raised = raised.__cause__ or (None if raised.__suppress_context__ else raised.__context__)


def _wraps(raised: BaseException) -> bool:
    return any(WRAPPERS.search(kind.__name__) for kind in type(raised).__mro__ if kind is not ConnectionError)


def _attribute(owner: object, name: str) -> object:
    try:
        return getattr(owner, name, None)
    except Exception:  # a property of somebody's exception may raise anything
        return None
