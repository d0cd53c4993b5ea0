"""What a project is told when somebody other than its consumer ends a message: the public value its hooks are given."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

from django.apps import apps

from outbox.errors import Reject

if TYPE_CHECKING:
    from outbox.models import Message

EXHAUSTED, OVERDUE = "exhausted", "overdue"
"""What the machine closes a message as."""

CLOSINGS_IN_CALL = 1_000
"""How many closings one call of a hook has at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """One message that was closed, or reopened, by somebody other than its consumer.

    ``outcome`` is what it is closed as: "issued", "compensated" or "not_due" if an operator marks it as handled,
    "discarded", "withdrawn", "exhausted" or "overdue". When it is reopened, it is what it had been closed as.
    ``evidence`` proves a handled one (up to 250 characters; else empty), ``reason`` is the operator's, or the name of
    the machine's, and ``actor`` the operator's name, empty for the machine. ``message`` is a copy as it was before.
    """

    message: "Message"
    outcome: str
    evidence: str = ""
    reason: str = ""
    actor: str = ""


Hook = Callable[[list[Closing]], object]
"""A function of a list of closings, at most ``CLOSINGS_IN_CALL``."""


def handler_of(hook: Hook) -> "Callable[[list[Message]], None]":
    """Return the handler of the messages by which ``hook`` is told what the machine has closed.

    What an operator has taken up since is left out: the hook would hear of an end that is none any more.
    """

    @wraps(hook)
    def tell(messages: "list[Message]") -> None:
        ended = _ended(messages)
        if ended:
            hook(ended)

    return tell


def _ended(messages: "list[Message]") -> list[Closing]:
    """Return the closings that these messages speak of, their messages locked against operators' acts."""
    ends: set[tuple[int, int]] = set()
    for message in messages:
        match message.payload:
            case {"message": int(id), "revision": int(revision)}:
                ends.add((id, revision))
            case _:
                message.report(Reject("it does not say which message the machine has closed"))
    rows: Any = apps.get_model("outbox", "Message")._default_manager
    locked = (
        rows.filter(pk__in={id for id, _revision in ends}, status="failed")
        .order_by("pk")
        .select_for_update(no_key=True)
    )
    return [
        Closing(message=row, outcome=row.resolution or EXHAUSTED, reason=row.reason)
        for row in locked
        if (row.pk, row.revision) in ends and row.resolution in ("", OVERDUE)
    ]
