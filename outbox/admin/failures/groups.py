"""Failure groups as the desk reads them: what is stuck now, what ever failed, and which of them matter first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import IntegerField, Max, OuterRef, Subquery, Sum
from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from outbox.admin.messages.listing import BoundedCount
from outbox.admin.tones import OF_GROUP, Tone
from outbox.models import Attempt, FailureCount, FailureGroup, GroupState, Message

STUCK_COUNTED = 1_000
"""Stuck messages counted in each group at most."""
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
Totals = dict[str, tuple[int, datetime]]
"""The failures of groups, and the last of them, by fingerprint."""


class CountOfAtMost(Subquery):
    """The number of rows of a subquery, which ends at its limit; PostgreSQL and SQLite read it the same."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) counted)"
    output_field = IntegerField()


@dataclass(frozen=True, slots=True)
class GroupSummary:
    """A group of failures and its figures: messages stuck now, attempts that ever failed so, the last of them."""

    group: FailureGroup
    stuck: BoundedCount
    total: int
    last_at: datetime

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


def read_groups(*, consumer: str = "", up_to: int = STUCK_COUNTED) -> list[GroupSummary]:
    """Return the groups that failed last, at most ``LOOK`` of them, each with up to so many stuck messages counted.

    The most stuck come first, of those the new, of those what failed last.
    """
    counts = FailureCount.objects.all()
    if consumer:
        counts = counts.filter(group__consumer=consumer)
    return _summaries(_group_totals(counts), up_to)


def recount_stuck(summaries: Sequence[GroupSummary]) -> list[GroupSummary]:
    """Return some of the groups with up to ``COUNT`` stuck messages counted in each, in their order by that."""
    return _summaries({summary.group.pk: (summary.total, summary.last_at) for summary in summaries}, STUCK_COUNTED)


def find_group(fingerprint: str) -> GroupSummary | None:
    """Return one group; None if it is not there."""
    group = FailureGroup.objects.annotate(stuck=_stuck(STUCK_COUNTED)).filter(pk=fingerprint).first()
    if group is None:
        return None
    total, last_at = _group_totals(FailureCount.objects.filter(group=group)).get(fingerprint, (0, group.first_at))
    return _summary(group, total, last_at, STUCK_COUNTED)


def sample_message(group: FailureGroup) -> tuple[Message, Attempt | None] | None:
    """Return the newest message that is stuck for this reason and its newest attempt; None if none is stuck."""
    stuck = Message.objects.exhausted().filter(consumer=group.consumer, failure=group.pk)
    message = stuck.defer("payload", "headers").order_by("-id").first()
    if message is None:
        return None
    return message, Attempt.objects.filter(message=message).order_by("-id").first()


def _summaries(figures: Totals, up_to: int) -> list[GroupSummary]:
    groups = FailureGroup.objects.defer("note").annotate(stuck=_stuck(up_to)).in_bulk(list(figures))
    summaries = [_summary(group, *figures[fingerprint], up_to) for fingerprint, group in groups.items()]
    return sorted(
        summaries,
        key=lambda summary: (-summary.stuck.counted, summary.tone is not Tone.BAD, -summary.last_at.timestamp()),
    )


def _group_totals(counts: Any) -> Totals:
    """Return failures and the last of them by group, of the ``LOOK`` groups that failed last."""
    summed = counts.values_list("group").annotate(total=Sum("count"), last=Max("last_at")).order_by("-last", "group")
    return {fingerprint: (total, last) for fingerprint, total, last in summed[:GROUPS_READ]}


def _stuck(up_to: int) -> CountOfAtMost:
    stuck = Message.objects.exhausted().filter(consumer=OuterRef("consumer"), failure=OuterRef("fingerprint"))
    return CountOfAtMost(stuck.order_by().values("pk")[: up_to + 1])


def _summary(group: FailureGroup, total: int, last_at: datetime, up_to: int) -> GroupSummary:
    counted: int = getattr(group, "stuck", 0)  # annotated
    return GroupSummary(group, BoundedCount(min(counted, up_to), more=counted > up_to), total, last_at)


def tabs_of(summaries: Sequence[GroupSummary]) -> dict[str, list[GroupSummary]]:
    """Sort the groups into the tabs, in the same order."""
    return {tab: [summary for summary in summaries if tab in (ALL, summary.tab)] for tab in GROUP_TABS}
