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


def may_have_acted(error: BaseException) -> bool:
    """Tell whether the system that a handler was talking to may have done what it was asked, although this was raised.

    An exception, or one that it was raised from, can say so itself by an attribute ``may_have_acted`` (a bool). Else a
    ``response`` with a ``status_code`` decides (from 500 on: yes), or the class: time-outs and broken connections yes,
    connections that were never made no. The outermost exception that decides is believed.
    """
    decided = _first_decision(error)
    return any(isinstance(raised, ConnectionError) for raised in _chain(error)) if decided is None else decided


def said_to_have_acted(error: BaseException) -> bool | None:
    """Tell the same, where the error says so; None where it does not, so that nobody knows.

    A handler's own word (``Reject``, ``Snooze``, ``Unavailable``) says that it has not, unless it says more itself.
    """
    said = _attribute(error, "may_have_acted")
    if isinstance(error, HandlerSignal) and not isinstance(said, bool):
        return False
    return _first_decision(error)


def _first_decision(error: BaseException) -> bool | None:
    decided = (_decide(raised) for raised in _chain(error))
    return next((each for each in decided if each is not None), None)


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


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and those that it was raised from, or while handling which it was raised."""
    seen: set[int] = set()
    raised: BaseException | None = error
    while raised is not None and id(raised) not in seen:
        yield raised
        seen.add(id(raised))
        raised = raised.__cause__ or (None if raised.__suppress_context__ else raised.__context__)


def _attribute(owner: object, name: str) -> object:
    try:
        return getattr(owner, name, None)
    except Exception:  # a property of somebody's exception may raise anything
        return None
