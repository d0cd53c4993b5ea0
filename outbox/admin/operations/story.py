"""The story of the night: what most messages wait for, since when, whether it goes on, and who is on it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.utils.formats import number_format
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from outbox.admin import formats
from outbox.admin.failures.groups import GroupSummary
from outbox.admin.operations.places import GROUP, QUEUE, Places
from outbox.admin.tones import Tone
from outbox.models.sql.backlog import FailedGroup
from outbox.monitoring.findings import in_words
from outbox.monitoring.measurements import BURST

CAUSE_LENGTH = 140


@dataclass(frozen=True, slots=True)
class Story:
    """What most messages wait for: a headline, what is to be known, and the way to it; and what waits beside it."""

    tone: Tone
    headline: str
    since: datetime
    goes_on: str
    worth: str
    owner: str
    url: str
    link: str
    others: str
    others_url: str


def tell_story(
    stuck: Sequence[FailedGroup], summaries: Sequence[GroupSummary], places: Places, *, now: datetime
) -> Story | None:
    """Return the story of what waits for a person; None if nothing does, or all of it is ignored.

    ``summaries`` are the failure groups that are open, as far as the reader may see them.
    """
    known = {(summary.group.consumer, summary.group.pk): summary for summary in summaries}
    candidates = [group for group in stuck if (group.consumer, group.failure) in known] or _without_groups(
        stuck, places
    )
    if not candidates:
        return None
    top = max(candidates, key=lambda group: (group.messages, group.last_at))
    summary = known.get((top.consumer, top.failure))
    others = sum(group.messages for group in stuck) - top.messages
    return Story(
        tone=Tone.BAD if top.fresh or summary is None or not summary.group.owner else Tone.WAIT,
        headline=_headline(top, summary),
        since=top.first_at,
        goes_on=_goes_on(top, now),
        worth=formats.format_worth(top.worth),
        owner=summary.group.owner if summary else "",
        url=places.url(GROUP, top.failure) if summary else places.url(QUEUE, tab="failed", consumer=top.consumer),
        link=_("Open the failure group") if summary else _("Show what failed"),
        others=_others(others, len(stuck) - 1),
        others_url=places.url(QUEUE, tab="failed") if others else "",
    )


def total_worth(stuck: Sequence[FailedGroup]) -> Mapping[str, Decimal]:
    """Return what all that waits for a person is worth, by currency."""
    total: dict[str, Decimal] = defaultdict(Decimal)
    for group in stuck:
        for currency, amount in group.worth.items():
            total[currency] += amount
    return total


def _without_groups(stuck: Sequence[FailedGroup], places: Places) -> Sequence[FailedGroup]:
    """Return what is told by consumer alone: all of it to whoever may see no groups, else what belongs to none."""
    return [group for group in stuck if not group.failure] if places.may_see("failuregroup") else stuck


def _headline(top: FailedGroup, summary: GroupSummary | None) -> str:
    text = ngettext(
        "%(count)s message of %(consumer)s waits for a person",
        "%(count)s messages of %(consumer)s wait for a person",
        top.messages,
    ) % {"count": number_format(top.messages, force_grouping=True), "consumer": top.consumer}
    if summary is None:
        return f"{text}."
    return f"{text}: {Truncator(formats.format_group(summary.group)).chars(CAUSE_LENGTH)}"


def _goes_on(top: FailedGroup, now: datetime) -> str:
    if not top.fresh:
        return _("none for %(span)s: it has stopped") % {"span": in_words(now - top.last_at)}
    text = ngettext(
        "%(count)s more in the last %(span)s: it is growing",
        "%(count)s more in the last %(span)s: it is growing",
        top.fresh,
    )
    return text % {"count": number_format(top.fresh, force_grouping=True), "span": in_words(BURST)}


def _others(messages: int, kinds: int) -> str:
    if not messages:
        return ""
    text = ngettext(
        "%(count)s other message waits for a person (failure groups: %(kinds)s).",
        "%(count)s other messages wait for a person (failure groups: %(kinds)s).",
        messages,
    )
    return text % {"count": number_format(messages, force_grouping=True), "kinds": kinds}
