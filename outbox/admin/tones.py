"""The tones in which the desk says things, and which tone each status, level and state has."""

from collections.abc import Mapping
from enum import StrEnum

from outbox.models import AttemptOutcome, GroupState, Message, Resolution, Status
from outbox.monitoring.findings import Level


class Tone(StrEnum):
    """How a page colours what it says. The value is the end of a class in ``desk.css``: ``desk-tone-bad``."""

    BAD = "bad"  # a person is needed
    WAIT = "wait"  # a person may be needed
    BUSY = "busy"  # somebody or something is at work on it
    GOOD = "good"  # it is as it should be
    CLOSED = "closed"  # it is over, and nobody is asked any more
    QUIET = "quiet"  # a figure that says neither good nor bad
    PERSON = "person"  # what a person did

    @property
    def icon(self) -> str:
        """The picture in ``icons.svg`` that stands beside the word; ``QUIET`` and ``PERSON`` never need one."""
        return ICONS[self]


ICONS: Mapping[Tone, str] = {
    Tone.BAD: "failed",
    Tone.WAIT: "pending",
    Tone.BUSY: "started",
    Tone.GOOD: "success",
    Tone.CLOSED: "discarded",
}
OF_LEVEL: Mapping[Level, Tone] = {Level.OK: Tone.GOOD, Level.WARNING: Tone.WAIT, Level.CRITICAL: Tone.BAD}
OF_GROUP: Mapping[str, Tone] = {
    GroupState.NEW: Tone.BAD,
    GroupState.INVESTIGATING: Tone.BUSY,
    GroupState.WAITING: Tone.WAIT,
    GroupState.IGNORED: Tone.CLOSED,
    GroupState.FIXED: Tone.GOOD,
}
OF_ATTEMPT: Mapping[str, Tone] = {
    AttemptOutcome.FAILED: Tone.BAD,
    AttemptOutcome.REJECTED: Tone.BAD,
    AttemptOutcome.LOST: Tone.BAD,
    AttemptOutcome.LATE: Tone.BAD,
    AttemptOutcome.SNOOZED: Tone.WAIT,
    AttemptOutcome.UNAVAILABLE: Tone.WAIT,
}
_OF_STATUS: Mapping[str, Tone] = {
    Status.PENDING: Tone.WAIT,
    Status.STARTED: Tone.BUSY,
    Status.SUCCESS: Tone.GOOD,
    Status.FAILED: Tone.BAD,
    Resolution.HANDLED: Tone.GOOD,
    Resolution.DISCARDED: Tone.CLOSED,
    Resolution.OVERDUE: Tone.CLOSED,
    Resolution.WITHDRAWN: Tone.CLOSED,
}


def of_message(message: Message) -> Tone:
    """Return the tone of a message's status, or of what a person has decided about it."""
    return _OF_STATUS[message.resolution or message.status]
