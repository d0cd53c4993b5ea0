"""The first thing an operator sees: is everything in order, what must a person do, and where.

Read from the partial indexes of what is unfinished or stuck and from the figures per minute, so that it costs the same
whatever the size of the message table. Every number carries the address of the list that makes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.admin.utils import quote
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from outbox.admin.base import narrowed
from outbox.admin.consumers import status as consumer_status
from outbox.admin.failures import groups
from outbox.admin.messages.listing import BoundedCount
from outbox.admin.operations import chart
from outbox.admin.tones import OF_LEVEL, Tone
from outbox.conf import conf
from outbox.monitoring.findings import Finding, Level, What, evaluate, in_words
from outbox.monitoring.health import measure
from outbox.monitoring.measurements import CAP, Measurements
from outbox.operate import Person

TOP_GROUPS = 5
RANKED_BY = 100
"""Stuck messages counted in a group at most to find the top ones; of groups with more, what failed last is on top."""
EVERY_SECONDS = 15
"""How often the page reads itself again while it is visible."""

QUEUE, CONSUMER, CONSUMERS = "message_changelist", "consumerstate_change", "consumerstate_changelist"
GROUPS, HEARTBEATS = "failuregroup_changelist", "heartbeat_changelist"


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure, what it counts, and the list that makes it."""

    label: str
    value: str
    detail: str
    url: str
    tone: Tone = Tone.QUIET


@dataclass(frozen=True, slots=True)
class Sentence:
    """One finding: how bad it is, what it says, and where to do something about it."""

    tone: Tone
    text: str
    url: str
    link: str


@dataclass(frozen=True, slots=True)
class Operations:
    """The whole page, as it was at ``taken_at``."""

    taken_at: datetime
    tone: Tone
    headline: str
    wrong: Sequence[Sentence]
    in_order: Sequence[Sentence]
    tiles: Sequence[Tile]
    chart: chart.Chart
    statuses: Sequence[consumer_status.ConsumerStatus]
    groups_shown: Sequence[groups.GroupSummary]
    more_groups: int


def read_operations(user: Person, *, site: str | None) -> Operations:
    """Read everything for somebody who may see messages; what else they may see decides what is linked and listed."""
    measurements = measure()
    findings = evaluate(measurements, conf())
    places = _Places(user, site)
    sentences = [(finding.level, places.sentence(finding)) for finding in findings]
    groups_shown = (
        groups.tabs_of(groups.read_groups(up_to=RANKED_BY))[groups.OPEN] if places.may_see("failuregroup") else []
    )
    chart_of_day = chart.read_chart()
    return Operations(
        taken_at=timezone.now(),
        tone=OF_LEVEL[max((finding.level for finding in findings), default=Level.CRITICAL)],
        headline=_headline(findings),
        wrong=[sentence for level, sentence in sentences if level],
        in_order=[sentence for level, sentence in sentences if not level],
        tiles=_tiles(measurements, chart_of_day, places),
        chart=chart_of_day,
        statuses=sorted(consumer_status.list_statuses(measurements), key=lambda one: (one.tone is Tone.GOOD, one.name)),
        groups_shown=groups.recount_stuck(groups_shown[:TOP_GROUPS]),
        more_groups=max(len(groups_shown) - TOP_GROUPS, 0),
    )


class _Places:
    """Where things are, for one person: no link leads to a page that would refuse them."""

    def __init__(self, user: Person, site: str | None) -> None:
        self._user, self._site = user, site

    def may_see(self, model: str) -> bool:
        """Tell whether the person may see the rows of a model."""
        return self._user.has_perm(f"outbox.view_{model}")

    def url(self, place: str, *args: str, **query: str) -> str:
        """Return an address of the desk, empty if the person may not go there."""
        if not self.may_see(place.partition("_")[0]):
            return ""
        address = reverse(f"admin:outbox_{place}", args=[quote(arg) for arg in args], current_app=self._site)
        return address + (narrowed(**query) if any(query.values()) else "")

    def sentence(self, finding: Finding) -> Sentence:
        """Return a finding with the link to what it speaks of; what is in order needs none."""
        url, link = self._place_of(finding) if finding.level else ("", "")
        return Sentence(OF_LEVEL[finding.level], finding.sentence, url, link if url else "")

    def _place_of(self, finding: Finding) -> tuple[str, str]:
        match finding.what:
            case What.OLDEST:
                return self.url(QUEUE, tab="pending", consumer=finding.subject), _("Show what waits")
            case What.EXHAUSTED | What.BURST | What.HELD:
                return self.url(QUEUE, tab="failed", consumer=finding.subject), _("Show what failed")
            case What.FAILING:
                return self.url(GROUPS, consumer=finding.subject), _("Show the failure groups")
            case What.PAUSED | What.BREAKER | What.GONE:
                return self.url(CONSUMER, finding.subject), _("Open the consumer")
            case What.RESCAN | What.BROKER | What.QUEUE | What.MAINTENANCE:
                return self.url(HEARTBEATS), _("Show the chores")
            case _:
                return "", ""


def _headline(findings: Sequence[Finding]) -> str:
    critical = sum(finding.level is Level.CRITICAL for finding in findings)
    warnings = sum(finding.level is Level.WARNING for finding in findings)
    if critical:
        text = ngettext("%(count)d thing needs a person now.", "%(count)d things need a person now.", critical)
        return text % {"count": critical}
    if warnings:
        return ngettext("%(count)d thing wants a look.", "%(count)d things want a look.", warnings) % {
            "count": warnings
        }
    return _("Everything is in order.")


def _tiles(measurements: Measurements, chart_of_day: chart.Chart, places: _Places) -> list[Tile]:
    backlogs = [consumer.depth for consumer in measurements.consumers]
    waiting = BoundedCount(sum(min(depth, CAP - 1) for depth in backlogs), more=any(depth >= CAP for depth in backlogs))
    ages = [(one.oldest, one.name) for one in measurements.consumers if one.oldest is not None]
    oldest, whose = max(ages, default=(None, ""))
    exhausted = consumer_status.capped(measurements.exhausted)
    succeeded, failed = chart_of_day.last_hour["successes"], chart_of_day.last_hour["attempts"]
    return [
        Tile(
            _("Failed, unresolved"),
            _format_count(exhausted),
            _("wait for a person"),
            places.url(QUEUE, tab="failed"),
            Tone.BAD if exhausted.counted else Tone.GOOD,
        ),
        Tile(_("Unfinished"), _format_count(waiting), _("pending or started"), places.url(QUEUE, tab="pending")),
        Tile(
            _("Oldest"),
            in_words(oldest) if oldest is not None else "–",
            whose or _("nothing waits"),
            places.url(QUEUE, tab="pending", consumer=whose),
        ),
        Tile(
            _("Succeeded"),
            number_format(succeeded, force_grouping=True),
            _("in the last hour"),
            places.url(QUEUE, tab="success"),
        ),
        Tile(
            _("Failed attempts"),
            number_format(failed, force_grouping=True),
            _("in the last hour"),
            places.url(GROUPS),
            Tone.WAIT if failed else Tone.QUIET,
        ),
    ]


def _format_count(tally: BoundedCount) -> str:
    return number_format(tally.counted, force_grouping=True) + ("+" if tally.more else "")


def operations_context(user: Any, *, site: str | None) -> dict[str, Any]:
    """Return what the template shows; nothing for whoever may not see messages."""
    if not user.has_perm("outbox.view_message"):
        return {"operations": None}
    places = _Places(user, site)
    return {
        "operations": read_operations(user, site=site),
        "every_seconds": EVERY_SECONDS,
        "outcomes": [label for _tone, label, _names in chart.CHART_OUTCOMES.values()],
        "may_see_consumers": places.may_see("consumerstate"),
        "may_see_groups": places.may_see("failuregroup"),
        "may_pause": user.has_perm("outbox.pause_consumer"),
    }
