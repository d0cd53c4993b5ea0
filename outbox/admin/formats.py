"""How the desk writes a moment, and why something failed in the reader's language.

Failure groups are stored as patterns.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

from django.utils import translation
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.translation import gettext as _

from outbox.admin.failures.grouping import PLACEHOLDERS
from outbox.admin.json_text import as_json
from outbox.models import Attempt, AttemptOutcome, FailureGroup, Message, Status
from outbox.operate.wording import format_datetime
from outbox.policy import Reason

ABOUT_THE_ERROR = frozenset({Reason.NO_TRIES_LEFT, Reason.TIMED_OUT, Reason.REJECTED})
"""Reasons that add to the consumer's own error; all others stand for themselves."""
VARYING = re.compile(rf"\(=?<value>\)|(?:{'|'.join(map(re.escape, PLACEHOLDERS))})…?")
ONLY_VARYING = re.compile(r"\{[…\s:,\[\]]*…[…\s:,\[\]]*\}")
IN_A_ROW = re.compile(r"…(?:[\s,:;.]*…)+")


def format_moment(at: datetime | None) -> str:
    """Show a moment in local time, with UTC in the tooltip; the script turns local into the reader's own."""
    if at is None:
        return "–"
    utc = at.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        utc.isoformat(timespec="milliseconds"),
        f"{utc:%Y-%m-%d %H:%M:%S} UTC",
        format_datetime(at),
    )


def format_json(value: object) -> str:
    """Show a value of a JSON column, a line a key; a dash for none."""
    if not value:
        return "–"
    return format_html('<pre class="desk-json" tabindex="0">{}</pre>', as_json(value))


def format_worth(worth: Mapping[str, Decimal]) -> str:
    """Return amounts with their currencies in one text, the largest first."""
    return " + ".join(format_amounts(worth))


def format_amounts(worth: Mapping[str, Decimal]) -> list[str]:
    """Return amounts with their currencies, the largest first; a unit of the project's own in its own translation."""
    largest = sorted(worth.items(), key=lambda pair: -pair[1])
    return [f"{_format_amount(amount)} {translation.gettext(currency)}" for currency, amount in largest]


def _format_amount(amount: Decimal) -> str:
    places = 0 if amount == amount.to_integral_value() else 2
    return number_format(amount, decimal_pos=places, force_grouping=True)


def describe_failure(message: Message) -> str:
    """Return why a message has not succeeded yet: the reason in the reader's words, the consumer's error as it was.

    A list that has cut errors short gives them as the annotation ``error``.
    """
    error: str = message.error if hasattr(message, "error") else message.last_error
    if message.reason:
        reason = str(Reason(message.reason).label)
        parts = (error, reason) if message.reason in ABOUT_THE_ERROR else (reason, error)
        return f"{parts[0]} ({parts[1]})" if all(parts) else reason
    if message.lost and message.status == Status.PENDING:
        return describe_loss(message.worker, message.attempts)
    return error


def describe_attempt(attempt: Attempt) -> str:
    """Return what went wrong in an attempt, in the same way."""
    match attempt.outcome:
        case AttemptOutcome.LOST:
            return "; ".join(filter(None, (describe_loss(attempt.worker, attempt.number), attempt.error)))
        case AttemptOutcome.LATE:
            said = attempt.error or _("the handler had succeeded")
            return _("refused, a later attempt or an operator was faster; %(said)s") % {"said": said}
        case _:
            return attempt.error


def describe_loss(worker: str, number: int) -> str:
    """Return that a worker did not settle an attempt in time. More is not known: a lease that is over has no cause."""
    return _(
        "the worker %(worker)s did not settle attempt %(number)s in time: "
        "the process, the database or the network was gone"
    ) % {"worker": worker, "number": number}


def format_group(group: FailureGroup) -> str:
    """Return a failure group's title as people read it: "…" for what differs from case to case.

    Where the outbox itself gave up, it is the reason in the reader's language. Where a title is nothing but "…", the
    name of the exception stands before it: "KeyError: …".
    """
    if group.reason:
        return str(Reason(group.reason).label)
    title = IN_A_ROW.sub("…", ONLY_VARYING.sub("{…}", VARYING.sub("…", group.title)))
    if any(character.isalpha() for character in title):
        return title
    return ": ".join(part for part in (group.exception, title) if part)
