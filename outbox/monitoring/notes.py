"""What the engine has noted of itself: its chores' heartbeats, the places of workers, how the last attempts ended.

One statement for all of it, as JSON: each is a handful of rows, and a page would ask for them one after the other.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Count, F, Min, Q, Sum, Value
from django.db.models.functions import JSONObject, Now
from django.utils.dateparse import parse_datetime

from outbox.models import (
    BookDifference,
    BookState,
    DeadLetter,
    Evidence,
    Half,
    HalfState,
    Heartbeat,
    MinuteStat,
    Places,
)
from outbox.models.state import FUTURE
from outbox.monitoring.gaps import SequenceMeasurements, rows_to_note
from outbox.monitoring.measurements import CAP, DeadGroup, DoubleIssue, HalfMeasurements
from outbox.monitoring.waits import tried_next
from outbox.policy import ZERO

FAILED = ("failed", "rejected", "lost")
"""The counters of attempts that failed; what was not ready or found the world down has not."""


class HeartbeatNote(NamedTuple):
    """What a chore has noted, by the database's clock: its age, since when it is known, its data, and ``now``."""

    age: timedelta | None = None
    known_for: timedelta = ZERO
    data: Mapping[str, Any] = {}
    now: datetime | None = None


class BookNote(NamedTuple):
    """How long ago a book was read, None if it never was; how often it is to be, and what went wrong."""

    read_ago: timedelta | None
    every: timedelta
    error: str


@dataclass(frozen=True, slots=True)
class Notes:
    """The notes, by name of the chore or of the consumer.

    ``double_issues`` are those that nobody has acknowledged, by the id of their message.
    """

    heartbeats: dict[str, HeartbeatNote] = field(default_factory=dict)
    places: dict[str, dict[str, Any]] = field(default_factory=dict)
    ended: dict[str, dict[str, Any]] = field(default_factory=dict)
    double_issues: list[DoubleIssue] = field(default_factory=list)
    dead: list[DeadGroup] = field(default_factory=list)
    halves: list[HalfMeasurements] = field(default_factory=list)
    books: dict[str, BookNote] = field(default_factory=dict)
    differences: dict[str, dict[str, int]] = field(default_factory=dict)
    """Of the books, by kind, that nobody has explained."""
    sequences: SequenceMeasurements = field(default_factory=SequenceMeasurements)
    not_ready: dict[str, int] = field(default_factory=dict)
    """The message that is tried next of consumers that were not ready for it."""


def read_notes(chores: Collection[str], *, ended_within: timedelta = ZERO, waiting: Sequence[str] = ()) -> Notes:
    """Return the heartbeats of ``chores``, the places of workers, and how attempts ``ended_within`` a span ended.

    Of the consumers in ``waiting`` also the message that is tried next, if they were not ready for it.
    """
    places = JSONObject(places=Sum("width"), taken=Sum("taken"), stuck=Sum("stuck"))
    ended = JSONObject(succeeded=Sum("successes"), **{name: Sum(name) for name in FAILED})
    minutes = MinuteStat.objects.within(ended_within).order_by()
    rows = [
        _beats_of(chores),
        _noted(Places.objects.known(), "places", "consumer", places),
        _noted(_doubled(), "doubled", "message__consumer", JSONObject(message=F("message_id"), evidence=F("text"))),
        _noted(DeadLetter.objects.shown(), "dead", "reason", JSONObject(queue=F("queue"), letters=Count("pk"))),
        _noted(Half.objects.unsettled().order_by(), "half", "check_name", _halves()),
        *_books(),
        *(_noted(*noted) for noted in rows_to_note()),
        *([_noted(minutes, "ended", "consumer", ended)] if ended_within else []),
        *(_noted(rows, "not ready", "consumer", JSONObject(message=F("pk"))) for rows in tried_next(waiting)),
    ]
    return _sorted_out(rows[0].union(*rows[1:], all=True))


def read_heartbeats(chores: Collection[str]) -> Notes:
    """Return the heartbeats of ``chores`` and nothing else."""
    return _sorted_out(_beats_of(chores))


def _beats_of(chores: Collection[str]) -> Any:
    beats = JSONObject(at=F("at"), since=F("since"), data=F("data"), now=Now())
    return _noted(Heartbeat.objects.filter(name__in=chores), "heartbeat", "name", beats)


def _books() -> list[Any]:
    """Return the books that are declared, and what differs in them, by kind."""
    facts = JSONObject(at=F("ran_at"), now=Now(), every=F("every_seconds"), error=F("error"))
    differing = JSONObject(kind=F("kind"), many=Count("pk"))
    return [
        _noted(BookState.objects.filter(undeclared_since__isnull=True), "book", "name", facts),
        _noted(BookDifference.objects.unexplained(), "differing", "book", differing),
    ]


def _sorted_out(rows: Any) -> Notes:
    notes = Notes()
    for kind, name, text in rows:
        facts = json.loads(text) if isinstance(text, str) else text
        match kind:
            case "heartbeat":
                notes.heartbeats[name] = _heartbeat(facts)
            case "places":
                notes.places[name] = facts
            case "doubled":
                notes.double_issues.append(DoubleIssue(facts["message"], name, facts["evidence"]))
            case "dead":
                notes.dead.append(DeadGroup(name, facts["queue"], facts["letters"]))
            case "half":
                notes.halves.append(_measured(name, facts))
            case "book":
                notes.books[name] = _book(facts)
            case "differing":
                notes.differences.setdefault(name, {})[facts["kind"]] = facts["many"]
            case "gap":
                notes.sequences.gaps.setdefault(name, {})[facts["said"]] = facts["many"]
            case "silent":
                notes.sequences.silent[name] = facts["many"]
            case "untold":
                notes.sequences.untold[name] = facts["error"]
            case "not ready":
                notes.not_ready[name] = facts["message"]
            case _:
                failed = sum(facts[counter] for counter in FAILED)
                notes.ended[name] = {"succeeded": facts["succeeded"], "failed_attempts": failed}
    notes.double_issues.sort(key=lambda double: double.message)
    notes.halves.sort(key=lambda halves: halves.check)
    return notes


def _doubled() -> Any:
    """Return the evidence of what was issued twice, the oldest ``CAP`` of it."""
    return Evidence.objects.filter(pk__in=Evidence.objects.doubled().order_by("id").values("pk")[:CAP])


def _halves() -> JSONObject:
    """Return what is counted of the half messages of a check that are not settled; there are few of them."""
    is_open = Q(state=HalfState.OPEN)
    counted = {"open": Count("pk", filter=is_open), "unknown": Count("pk", filter=~is_open)}
    return JSONObject(**counted, due=Min("check_at"), now=Now())


def _measured(check: str, facts: Mapping[str, Any]) -> HalfMeasurements:
    late = _as_moment(facts["now"]) - _as_moment(facts["due"]) if facts["due"] else ZERO
    return HalfMeasurements(check, facts["open"], facts["unknown"], late if late > ZERO else None)


def _noted(rows: Any, kind: str, name: str, facts: JSONObject) -> Any:
    """Return rows as kind, name and facts."""
    noted = rows.values(of_kind=Value(kind), named=F(name)).annotate(facts=facts)
    return noted.values_list("of_kind", "named", "facts")


def _book(facts: Mapping[str, Any]) -> BookNote:
    ago = None if facts["at"] is None else max(_as_moment(facts["now"]) - _as_moment(facts["at"]), ZERO)
    return BookNote(ago, timedelta(seconds=facts["every"]), facts["error"])


def _heartbeat(facts: Mapping[str, Any]) -> HeartbeatNote:
    """Return what a chore has noted. What lies in the future was written before the clock was set back."""
    now, data = _as_moment(facts["now"]), facts["data"]
    age = now - _as_moment(facts["at"])
    noted = json.loads(data) if isinstance(data, str) else data
    return HeartbeatNote(None if age < -FUTURE else age, now - _as_moment(facts["since"]), noted, now)


def _as_moment(text: str) -> datetime:
    """Return a moment as either database writes it into JSON; SQLite leaves UTC out."""
    at = parse_datetime(text)
    assert at is not None  # noqa: S101  # the database's own
    return at if at.tzinfo else at.replace(tzinfo=UTC)
