"""Failure groups as the desk reads them: what is stuck now, what ever failed, and which of them matter first."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import reduce
from typing import Any, NamedTuple

from django.db.models import CharField, Max, Q, Sum
from django.db.models.functions import Coalesce
from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from outbox.admin.counts import BoundedCount, capped
from outbox.admin.tones import OF_GROUP, Tone
from outbox.models import Attempt, FailureCount, FailureGroup, GroupState, Message
from outbox.models.sql.backlog import FailedGroup, added, measure_backlogs, without_jit
from outbox.monitoring.measurements import CAP

GROUPS_READ = 1_000
"""Groups looked at: those that failed last."""
GROUPS_PER_PAGE = 50
OTHERS = 100
"""Groups that one is offered to be merged into."""
OPEN, IGNORED, FIXED, ALL = "open", "ignored", "fixed", "all"
GROUP_TABS: dict[str, tuple[Promise, Promise]] = {
    OPEN: (_("Open"), _("No failure group is open: all of them are fixed or ignored, or nothing has failed yet.")),
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
    members: Sequence["GroupSummary"] = ()
    """What people have merged into it, each with its own figures; they are in its own as well."""

    @property
    def fingerprints(self) -> list[str]:
        """Its own, and those of what is merged into it."""
        return [self.group.pk, *(member.group.pk for member in self.members)]

    @property
    def first_at(self) -> datetime:
        """When the first of them failed."""
        return min([self.group.first_at, *(member.group.first_at for member in self.members)])

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

    The most stuck come first, of those the new, of those what failed last. What is merged into another is read with it.
    """
    counts, groups = FailureCount.objects.all(), FailureGroup.objects.defer("note")
    if consumer:
        counts, groups = counts.filter(group__consumer=consumer), groups.filter(consumer=consumer)
    root_of = Coalesce("group__merged_into", "group", output_field=CharField())
    by_root = counts.annotate(root=root_of).values_list("root")
    summed = by_root.annotate(total=Sum("count"), last=Max("last_at")).order_by("-last", "root")
    totals = {fingerprint: (total, last) for fingerprint, total, last in summed[:GROUPS_READ]}
    found = by_fingerprint(stuck)
    families = _families(groups.filter(Q(pk__in=list(totals)) | Q(merged_into__isnull=False)))
    return in_order(
        _together(root, members, found, *totals[root.pk]) for root, members in families if root.pk in totals
    )


def read_stuck_groups(stuck: Iterable[FailedGroup]) -> list[GroupSummary]:
    """Return the groups that messages wait for a person of, at most ``GROUPS_READ``, in the same order."""
    most = sorted(stuck, key=lambda group: -group.messages)[:GROUPS_READ]
    named = [each.failure for each in most]
    roots = FailureGroup.objects.filter(pk__in=named, merged_into__isnull=False).values("merged_into")
    groups = FailureGroup.objects.with_totals()
    found = by_fingerprint(most)
    families = _families(groups.filter(Q(pk__in=named) | Q(pk__in=roots) | Q(merged_into__isnull=False)))
    return in_order(_together(root, members, found) for root, members in families)


def find_group(fingerprint: str) -> GroupSummary | None:
    """Return the group that stands for a fingerprint, with what is merged into it; None if it is not there."""
    known = "\0" not in fingerprint
    families = _families(FailureGroup.objects.family_of(fingerprint).with_totals()) if known else []
    if not families:
        return None
    [(group, members)] = families
    with without_jit():
        backlog = measure_backlogs([group.consumer], cap=CAP, others=False)[group.consumer]
    return _together(group, members, by_fingerprint(backlog.groups))


class GroupOfMessage(NamedTuple):
    """The group that stands for the failure of a message, its fingerprint before those of what is merged into it."""

    root: FailureGroup
    fingerprints: tuple[str, ...]
    total: int


def find_group_of(message: Message) -> GroupOfMessage | None:
    """Return the group of a message's failure; None if there is none."""
    families = _families(FailureGroup.objects.family_of(message.failure).with_totals())
    if not families:
        return None
    [(root, members)] = families
    every = (root, *members)
    return GroupOfMessage(root, tuple(group.pk for group in every), sum(_totals(group)[0] for group in every))


def fold(stuck: Sequence[FailedGroup], summaries: Iterable[GroupSummary]) -> list[FailedGroup]:
    """Return what is stuck with what is merged into one of these groups counted as that group's."""
    roots = {member.group.pk: one.group.pk for one in summaries for member in one.members}
    folded: dict[tuple[str, str], FailedGroup] = {}
    for each in stuck:
        place = each.consumer, roots.get(each.failure, each.failure)
        known = folded.get(place)
        folded[place] = replace(each, failure=place[1]) if known is None else added(known, each)
    return list(folded.values())


def others_of(group: FailureGroup) -> list[FailureGroup]:
    """Return the groups that this one can be merged into: of the same consumer, the newest first."""
    roots = FailureGroup.objects.filter(consumer=group.consumer, merged_into__isnull=True).exclude(pk=group.pk)
    return list(roots.defer("note").order_by("-first_at", "pk")[:OTHERS])


def stuck_now(consumer: str = "") -> list[FailedGroup]:
    """Return what waits for a person now by failure group, of one consumer or of all."""
    with without_jit():
        backlogs = measure_backlogs([consumer] if consumer else [], cap=CAP, others=not consumer)
    return [group for backlog in backlogs.values() for group in backlog.groups]


def sample_message(summary: GroupSummary) -> tuple[Message, Attempt | None] | None:
    """Return the newest message that is stuck for this reason and its newest attempt; None if none is stuck."""
    stuck = Message.objects.exhausted().filter(consumer=summary.group.consumer, failure__in=summary.fingerprints)
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
    """Return the failures of a group and the last of them, if it was read with its totals."""
    return getattr(group, "total", None) or 0, getattr(group, "last_at", None) or group.first_at


def _families(groups: Iterable[FailureGroup]) -> list[tuple[FailureGroup, list[FailureGroup]]]:
    """Return the groups that stand for themselves, each with those that are merged into it."""
    members: dict[str, list[FailureGroup]] = defaultdict(list)
    roots = []
    for group in groups:
        if group.merged_into_id is None:
            roots.append(group)
        else:
            members[group.merged_into_id].append(group)
    return [(root, members[root.pk]) for root in roots]


def _together(
    root: FailureGroup,
    members: Sequence[FailureGroup],
    stuck: Mapping[tuple[str, str], FailedGroup],
    total: int | None = None,
    last_at: datetime | None = None,
) -> GroupSummary:
    """Return a group with what is merged into it. Totals that are not given were read with each of them."""
    own = [_summary(group, stuck) for group in (root, *members)]
    found = [each for group in (root, *members) if (each := stuck.get((root.consumer, group.pk)))]
    together = reduce(added, found) if found else None
    return replace(
        own[0],
        stuck=capped(together.messages if together else 0),
        total=sum(one.total for one in own) if total is None else total,
        last_at=max(one.last_at for one in own) if last_at is None else last_at,
        stuck_since=together.first_at if together else None,
        worth=together.worth if together else {},
        members=own[1:],
    )


def _summary(group: FailureGroup, stuck: Mapping[tuple[str, str], FailedGroup]) -> GroupSummary:
    """Return a group by itself."""
    total, last_at = _totals(group)
    found = stuck.get((group.consumer, group.pk))
    if found is None:
        return GroupSummary(group, BoundedCount(0), total, last_at)
    return GroupSummary(group, capped(found.messages), total, last_at, found.first_at, found.worth)


def tabs_of(summaries: Sequence[GroupSummary]) -> dict[str, list[GroupSummary]]:
    """Sort the groups into the tabs, in the same order."""
    return {tab: [summary for summary in summaries if tab in (ALL, summary.tab)] for tab in GROUP_TABS}
