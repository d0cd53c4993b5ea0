"""Failure groups as the desk reads them: what is stuck now, what ever failed, and which of them matter first."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Max, Sum
from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from outbox.admin.counts import BoundedCount, capped
from outbox.admin.tones import OF_GROUP, Tone
from outbox.models import Attempt, FailureCount, FailureGroup, GroupState, Message
from outbox.models.sql.backlog import FailedGroup, measure_backlogs, without_jit
from outbox.monitoring.measurements import CAP

GROUPS_READ = 1_000
"""Groups looked at: those that failed last."""
GROUPS_PER_PAGE = 50
OPEN, IGNORED, FIXED, ALL = "open", "ignored", "fixed", "all"
GROUP_TABS: dict[str, tuple[Promise, Promise]] = {
    OPEN: (_("Open"), _("No kind of failure is open: all of them are fixed or ignored, or nothing has failed yet.")),
    IGNORED: (_("Ignored"), _("Nothing is ignored.")),
    FIXED: (_("Fixed"), _("Nothing has been marked as fixed.")),
    ALL: (_("All"), _("Nothing has failed yet.")),
}


@dataclass(frozen=True, slots=True)
class GroupSummary:
    """A group of failures and its figures: messages stuck now, attempts that ever failed so, the last of them.

    ``stuck_since`` is when the first of those that are stuck was given up, ``worth`` what they are worth by currency.
    """

    group: FailureGroup
    stuck: BoundedCount
    total: int
    last_at: datetime
    stuck_since: datetime | None = None
    worth: Mapping[str, Decimal] = field(default_factory=dict)

    @property
    def has_grown(self) -> bool:
        """Tell whether it was ignored, but only up to fewer failures than there are now."""
        limit = self.group.ignored_up_to
        return self.group.state == GroupState.IGNORED and limit is not None and self.total > limit

    @property
    def has_come_back(self) -> bool:
        """Tell whether it was said to be fixed, and nobody has decided anything since it came back."""
        return bool(self.group.regressions) and self.group.state == GroupState.NEW

    @property
    def is_stuck(self) -> bool:
        """Tell whether messages wait for a person because of it."""
        return bool(self.stuck.counted)

    @property
    def remarks(self) -> list[str]:
        """What is to be known beside its state, in a few words each."""
        regressions = self.group.regressions
        came_back = ngettext("came back once", "came back %(counter)s times", regressions) % {"counter": regressions}
        is_fixed = self.group.state == GroupState.FIXED
        return [
            *([came_back] if self.has_come_back else []),
            *([gettext("has grown")] if self.has_grown else []),
            *([gettext("still stuck: retry")] if is_fixed and self.is_stuck else []),
        ]

    @property
    def tab(self) -> str:
        """Where it belongs. What is fixed but still stuck is open: somebody must retry it."""
        if self.group.state == GroupState.IGNORED and not self.has_grown:
            return IGNORED
        if self.group.state == GroupState.FIXED and not self.is_stuck:
            return FIXED
        return OPEN

    @property
    def tone(self) -> Tone:
        """How bad it is."""
        if self.has_grown:
            return Tone.BAD
        if self.group.state == GroupState.FIXED and self.is_stuck:
            return Tone.WAIT
        tone = OF_GROUP[self.group.state]
        return Tone.WAIT if tone is Tone.BAD and not self.is_stuck else tone

    @property
    def ticket_url(self) -> str:
        """The ticket, where it is a web address; any other scheme is text."""
        return self.group.ticket if self.group.ticket.lower().startswith(("https://", "http://")) else ""


def read_groups(stuck: Iterable[FailedGroup], *, consumer: str = "") -> list[GroupSummary]:
    """Return the groups that failed last, at most ``GROUPS_READ`` of them, with what is ``stuck`` of each.

    The most stuck come first, of those the new, of those what failed last.
    """
    counts = FailureCount.objects.all()
    if consumer:
        counts = counts.filter(group__consumer=consumer)
    summed = counts.values_list("group").annotate(total=Sum("count"), last=Max("last_at")).order_by("-last", "group")
    totals = {fingerprint: (total, last) for fingerprint, total, last in summed[:GROUPS_READ]}
    groups = FailureGroup.objects.defer("note").in_bulk(list(totals))
    found = by_fingerprint(stuck)
    return in_order(_summary(group, *totals[fingerprint], found) for fingerprint, group in groups.items())


def read_stuck_groups(stuck: Iterable[FailedGroup]) -> list[GroupSummary]:
    """Return the groups that messages wait for a person of, at most ``GROUPS_READ``, in the same order."""
    most = sorted(stuck, key=lambda group: -group.messages)[:GROUPS_READ]
    groups = FailureGroup.objects.with_totals().filter(pk__in=[each.failure for each in most])
    found = by_fingerprint(most)
    return in_order(_summary(group, *_totals(group), found) for group in groups)


def find_group(fingerprint: str) -> GroupSummary | None:
    """Return one group; None if it is not there."""
    known = "\0" not in fingerprint
    group = FailureGroup.objects.with_totals().filter(pk=fingerprint).first() if known else None
    if group is None:
        return None
    with without_jit():
        backlog = measure_backlogs([group.consumer], cap=CAP, others=False)[group.consumer]
    return _summary(group, *_totals(group), by_fingerprint(backlog.groups))


def stuck_now(consumer: str = "") -> list[FailedGroup]:
    """Return what waits for a person now by failure group, of one consumer or of all."""
    with without_jit():
        backlogs = measure_backlogs([consumer] if consumer else [], cap=CAP, others=not consumer)
    return [group for backlog in backlogs.values() for group in backlog.groups]


def sample_message(group: FailureGroup) -> tuple[Message, Attempt | None] | None:
    """Return the newest message that is stuck for this reason and its newest attempt; None if none is stuck."""
    stuck = Message.objects.exhausted().filter(consumer=group.consumer, failure=group.pk)
    message = stuck.defer("payload", "headers").order_by("-id").first()
    if message is None:
        return None
    return message, Attempt.objects.filter(message=message).order_by("-id").first()


def by_fingerprint(stuck: Iterable[FailedGroup]) -> dict[tuple[str, str], FailedGroup]:
    """Return what is stuck by consumer and failure group: a group belongs to one consumer."""
    return {(each.consumer, each.failure): each for each in stuck}


def in_order(summaries: Iterable[GroupSummary]) -> list[GroupSummary]:
    """Put first what is most stuck, of that what is new, of that what failed last."""
    return sorted(
        summaries,
        key=lambda summary: (-summary.stuck.counted, summary.tone is not Tone.BAD, -summary.last_at.timestamp()),
    )


def _totals(group: Any) -> tuple[int, datetime]:
    """Return the failures of a group that was read with its totals, and the last of them."""
    return group.total or 0, group.last_at or group.first_at


def _summary(
    group: FailureGroup, total: int, last_at: datetime, stuck: Mapping[tuple[str, str], FailedGroup]
) -> GroupSummary:
    found = stuck.get((group.consumer, group.pk))
    if found is None:
        return GroupSummary(group, BoundedCount(0), total, last_at)
    return GroupSummary(group, capped(found.messages), total, last_at, found.first_at, found.worth)


def tabs_of(summaries: Sequence[GroupSummary]) -> dict[str, list[GroupSummary]]:
    """Sort the groups into the tabs, in the same order."""
    return {tab: [summary for summary in summaries if tab in (ALL, summary.tab)] for tab in GROUP_TABS}
