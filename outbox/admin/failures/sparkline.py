"""How often each failure group has failed in the last 24 hours: a small chart beside it, and the same in words."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.db.models import F, Sum
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from outbox.admin.bars import outline
from outbox.models import FailureHour
from outbox.models.failure import HOURS_KEPT, ThisHour

WIDTH, HEIGHT, GAP = 4, 20, 1
"""Of a bar's place, of the chart and between two bars, in the chart's own units."""


@dataclass(frozen=True, slots=True)
class Sparkline:
    """The failures of the last hours by the clock's own hour; the last one is not over yet."""

    counts: Sequence[int]
    width: int = WIDTH * HOURS_KEPT
    height: int = HEIGHT

    @property
    def path(self) -> str:
        """The outline of the bars, as an SVG path."""
        return outline(self.counts, width=WIDTH, height=HEIGHT, gap=GAP)

    @property
    def words(self) -> str:
        """What it shows, for those who do not see it."""
        total, most, last = sum(self.counts), max(self.counts), self.counts[-1]
        if not total:
            return _("no failure in the last 24 hours")
        text = _("in the last 24 hours %(total)s, at most %(most)s in one hour, %(last)s in this one")
        names = {"total": total, "most": most, "last": last}
        return text % {name: number_format(count, force_grouping=True) for name, count in names.items()}


def read_sparklines(families: Collection[Collection[str]]) -> list[Sparkline]:
    """Return one for each of these groups, given with what is merged into it as fingerprints; one statement for all."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0] * HOURS_KEPT)
    rows = FailureHour.objects.lately().filter(group__in=[each for family in families for each in family])
    by_hour = rows.annotate(ago=ThisHour() - F("hour")).values_list("group", "ago")
    for fingerprint, ago, many in by_hour.annotate(many=Sum("count")):
        counts[fingerprint][HOURS_KEPT - 1 - max(ago, 0)] += many
    return [
        Sparkline([sum(hours) for hours in zip(*(counts[each] for each in family), strict=True)]) for family in families
    ]
