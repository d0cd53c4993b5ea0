"""What the audit is narrowed down to: when, who, which act, on what, and words of the reason.

What an index knows (who, which act, on what, when) is looked for in all of the audit. Words of reasons are looked for
a part at a time, as ``listing`` does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from django.conf import settings
from django.db.models import Max, Min, Q
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _

from outbox import registry
from outbox.admin.base import word_of
from outbox.admin.periods import span_of
from outbox.models import AuditEntry, BulkOperation, FailureGroup, Message
from outbox.models.audit import AuditEntryQuerySet
from outbox.models.row_ids import read_id
from outbox.operate.wording import subject_of_group

NAMES = ("within", "from", "to", "actor", "act", "about", "operation", "reason")
"""What an address may say."""
MOST_OF_ONE_KEY = 50
"""Messages of one business id, and groups of one digest, that are looked for at most."""
GROUP_DIGEST = 12
"""From so many characters on a word may be the digest of a failure group."""
DISORDERED = 1_000
"""Entries whose times may be out of order, as a clock was set back, without one being missed."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What an address has said, as it was entered. ``since`` is the first moment looked at, ``until`` the one after."""

    within: str = ""
    since: datetime | None = None
    until: datetime | None = None
    actor: str = ""
    act: str = ""
    about: str = ""
    operation: str = ""
    reason: str = ""
    given: dict[str, str] = field(default_factory=dict)
    wrong: tuple[str, ...] = ()

    def streams(self) -> tuple[AuditEntryQuerySet, Q]:
        """Return entries that one index gives by id, and what is kept of them."""
        rows, whole = AuditEntry.objects.all(), Q()
        parts = [
            *([Q(subject=str(BulkOperation(pk=read_id(self.operation) or 0)))] if self.operation else []),
            *([_about(self.about)] if self.about else []),
            *([Q(actor=self.actor)] if self.actor else []),
            *([Q(action=self.act)] if self.act else []),
            *([Q(reason__icontains=self.reason)] if self.reason else []),
            *([Q(at__gte=Now() - span)] if (span := span_of(self.within)) else []),
            *([Q(at__gte=self.since)] if self.since else []),
            *([Q(at__lt=self.until)] if self.until else []),
        ]
        if parts and (self.operation or self.about or self.actor or self.act):
            rows = rows.filter(parts.pop(0))
        for part in parts:
            whole &= part
        return rows, whole

    def bounds(self) -> tuple[int | None, int | None] | None:
        """Return the lowest and the highest id within the times, None for no bound; None if there is no entry."""
        low = high = None
        since = [Q(at__gte=Now() - span)] if (span := span_of(self.within)) else []
        since += [Q(at__gte=self.since)] if self.since else []
        if since:
            first = AuditEntry.objects.filter(*since).order_by("at").values("pk")[:DISORDERED]
            low = first.aggregate(low=Min("pk"))["low"]
        if self.until:
            last = AuditEntry.objects.filter(at__lt=self.until).order_by("-at").values("pk")[:DISORDERED]
            high = last.aggregate(high=Max("pk"))["high"]
        if (since and low is None) or (self.until and high is None):
            return None
        return low, high


def read_filters(request: HttpRequest, acts: Sequence[str]) -> Filters:
    """Return what the address of a request says; what it says wrongly is noted, and narrows nothing down."""
    given = {name: value for name in NAMES if (value := word_of(request, name).strip())}
    wrong = []
    days: dict[str, date | None] = {name: _read_day(given[name]) if name in given else None for name in ("from", "to")}
    for name, day in days.items():
        if name in given and day is None:
            wrong.append(_("“%(text)s” is no date: write 2026-03-31.") % {"text": given.pop(name)[:20]})
    if "operation" in given and read_id(given["operation"].removeprefix("#")) is None:
        wrong.append(_("“%(text)s” is no number of a bulk operation.") % {"text": given.pop("operation")[:20]})
    if given.get("act") not in acts:
        given.pop("act", None)
    if span_of(given.get("within", "")) is None:
        given.pop("within", None)
    since, until = days["from"], days["to"]
    return Filters(
        since=_midnight(since) if since else None,
        until=_midnight(until + timedelta(days=1)) if until else None,
        **{name: given.get(name, "") for name in ("within", "actor", "act", "about", "reason")},
        operation=given.get("operation", "").removeprefix("#"),
        given=given,
        wrong=tuple(wrong),
    )


def _read_day(text: str) -> date | None:
    """Return a day that a calendar has, and whose days before and after can be written."""
    try:
        day = parse_date(text)
    except ValueError:
        return None
    return day if day and date.min.year < day.year < date.max.year else None


def _midnight(day: date) -> datetime:
    at = datetime.combine(day, time.min)
    return timezone.make_aware(at) if settings.USE_TZ else at


def _about(text: str) -> Q:
    """Return which entries are about what ``text`` names.

    It is the id of a message, its business id with or without the topic, a failure group's digest, or the name under
    which the audit knows a consumer, a group, an operation or a message.
    """
    if (id := read_id(text.removeprefix("#"))) is not None:
        return Q(message_id=id)
    topic, _space, key = text.partition(" ")
    ids = Message.objects.filter(Q(key=text) | Q(topic=topic, key=key)).values_list("pk", flat=True)
    # A message that was removed is known by its name alone.
    names = [text, *(f"{text} → {consumer}" for consumer in registry.consumer_names())]
    if len(text) >= GROUP_DIGEST and " " not in text:
        groups = FailureGroup.objects.filter(pk__startswith=text)[:MOST_OF_ONE_KEY]
        names += [subject_of_group(group) for group in groups]
    return Q(subject__in=names) | Q(message_id__in=list(ids[:MOST_OF_ONE_KEY]))
