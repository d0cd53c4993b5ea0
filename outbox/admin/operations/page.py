"""The first thing an operator sees: is everything in order, what must a person do, and where.

Read from the partial indexes of what is unfinished or stuck and from the figures per minute, so that it costs the same
whatever the size of the message table. Every number carries the address of the list that makes it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from outbox.admin import formats
from outbox.admin.broker.page import broker_in_a_line
from outbox.admin.consumers import status as consumer_status
from outbox.admin.counts import BoundedCount, capped
from outbox.admin.failures import groups
from outbox.admin.operations import chart
from outbox.admin.operations.places import BROKER, GROUPS, QUEUE, Places, Sentence
from outbox.admin.operations.story import Story, tell_story, total_worth
from outbox.admin.tones import OF_LEVEL, Tone
from outbox.conf import conf
from outbox.monitoring.findings import Finding, Level, evaluate, in_words
from outbox.monitoring.health import read
from outbox.monitoring.measurements import CAP, Measurements
from outbox.operate import Person

TOP_GROUPS = 5
Worth = Mapping[str, Decimal]
"""Sums by currency."""
EVERY_SECONDS = 15
"""How often the page reads itself again while it is visible."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure, what it counts, and the list that makes it."""

    label: str
    value: str
    detail: str
    url: str
    tone: Tone = Tone.QUIET


@dataclass(frozen=True, slots=True)
class Operations:
    """The whole page, as it was at ``taken_at``."""

    taken_at: datetime
    tone: Tone
    story: Story | None
    headline: str
    wrong: Sequence[Sentence]
    in_order: Sequence[Sentence]
    tiles: Sequence[Tile]
    chart: chart.Chart
    statuses: Sequence[consumer_status.ConsumerStatus]
    groups_shown: Sequence[groups.GroupSummary]
    more_groups: int
    broker: str
    broker_url: str


def read_operations(user: Person, *, site: str | None) -> Operations:
    """Read everything for somebody who may see messages; what else they may see decides what is linked and listed."""
    reading = read()
    measurements = reading.measurements
    findings = evaluate(measurements, conf())
    places = Places(user, site)
    sentences = [(finding.level, places.sentence(finding)) for finding in findings]
    stuck_groups = groups.read_stuck_groups(reading.groups) if places.may_see("failuregroup") else []
    groups_shown = groups.tabs_of(stuck_groups)[groups.OPEN]
    chart_of_day, now = chart.read_chart(), timezone.now()
    return Operations(
        taken_at=now,
        tone=OF_LEVEL[max((finding.level for finding in findings), default=Level.CRITICAL)],
        story=tell_story(groups.fold(reading.groups, stuck_groups), groups_shown, places, now=now),
        headline=_headline(findings),
        wrong=[sentence for level, sentence in sentences if level],
        in_order=[sentence for level, sentence in sentences if not level],
        tiles=_tiles(measurements, chart_of_day, places, total_worth(reading.groups)),
        chart=chart_of_day,
        statuses=sorted(consumer_status.list_statuses(reading), key=lambda one: (one.tone is Tone.GOOD, one.name)),
        groups_shown=groups_shown[:TOP_GROUPS],
        more_groups=max(len(groups_shown) - TOP_GROUPS, 0),
        broker=broker_in_a_line(measurements.broker),
        broker_url=places.url(BROKER),
    )


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


def _tiles(measurements: Measurements, chart_of_day: chart.Chart, places: Places, worth: Worth) -> list[Tile]:
    backlogs = [consumer.depth for consumer in measurements.consumers]
    waiting = BoundedCount(sum(min(depth, CAP - 1) for depth in backlogs), more=any(depth >= CAP for depth in backlogs))
    ages = [(one.oldest, one.name) for one in measurements.consumers if one.oldest is not None]
    oldest, whose = max(ages, default=(None, ""))
    exhausted = capped(measurements.exhausted)
    succeeded, failed = chart_of_day.last_hour["successes"], chart_of_day.last_hour["attempts"]
    return [
        Tile(
            _("Failed, unresolved"),
            _format_count(exhausted),
            _("wait for a person"),
            places.url(QUEUE, tab="failed"),
            Tone.BAD if exhausted.counted else Tone.GOOD,
        ),
        *_worth_tile(worth, places),
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


def _worth_tile(worth: Worth, places: Places) -> list[Tile]:
    """Return the largest sum that is at stake, with those in other currencies below it; none if there is no value."""
    first, *others = formats.format_amounts(worth) or [""]
    detail = _("and %(amounts)s") % {"amounts": " + ".join(others)} if others else _("failed, unresolved")
    url = places.url(QUEUE, tab="failed")
    return [Tile(_("Value at stake"), first, detail, url, Tone.BAD)] if first else []


def _format_count(tally: BoundedCount) -> str:
    return number_format(tally.counted, force_grouping=True) + ("+" if tally.more else "")


def operations_context(user: Any, *, site: str | None) -> dict[str, Any]:
    """Return what the template shows; nothing for whoever may not see messages."""
    if not user.has_perm("outbox.view_message"):
        return {"operations": None}
    places = Places(user, site)
    return {
        "operations": read_operations(user, site=site),
        "every_seconds": EVERY_SECONDS,
        "outcomes": [label for _tone, label, _names in chart.CHART_OUTCOMES.values()],
        "may_see_consumers": places.may_see("consumerstate"),
        "may_see_groups": places.may_see("failuregroup"),
        "may_pause": user.has_perm("outbox.pause_consumer"),
    }
