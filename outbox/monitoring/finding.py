"""What a finding is: how bad, about what, and a sentence for people out of figures and spans."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum, StrEnum

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from outbox.monitoring.measurements import CAP


class Level(IntEnum):
    """How bad a finding is, in rising order."""

    OK = 0
    WARNING = 1
    CRITICAL = 2

    @property
    def word(self) -> str:
        """The level as programs read it: ok, warning, critical."""
        return self.name.lower()


class What(StrEnum):
    """What a finding is about."""

    RESCAN = "rescan"
    BROKER = "broker"
    QUEUE = "queue"
    OLDEST = "oldest"
    PAUSED = "paused"
    BREAKER = "breaker"
    GONE = "gone"
    EXHAUSTED = "exhausted"
    HELD = "held"
    BURST = "burst"
    DOUBLED = "doubled"
    FAILING = "failing"
    STUCK = "stuck"
    SNAPSHOT = "snapshot"
    IDLE = "idle_in_transaction"
    MAINTENANCE = "maintenance"
    AUDIT = "audit"
    WATCH = "watch"
    ALARM = "alarm"
    NODE = "node"
    BACKLOG = "backlog"
    DEAD = "dead_letters"
    MEMBERS = "members"
    HALVES = "halves"
    SOURCE = "source"
    QUARANTINE = "quarantine"
    BOOKS = "books"
    RECEIPTS = "receipts"
    GAPS = "gaps"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: how bad it is, the figure and its limit (seconds or messages), and a sentence."""

    level: Level
    what: What
    sentence: str
    subject: str = ""
    figure: float | None = None
    limit: float | None = None

    @property
    def about(self) -> str:
        """What identifies this finding from one look to the next."""
        return f"{self.what}:{self.subject}" if self.subject else self.what.value


def worst(findings: Iterable[Finding]) -> Level:
    """Return the worst level; critical if nothing was looked at."""
    return max((finding.level for finding in findings), default=Level.CRITICAL)


def in_words(span: timedelta) -> str:
    """Return a span as people say it: seconds up to two minutes, then minutes, hours, days."""
    seconds = max(int(span.total_seconds()), 0)
    if seconds < 120:
        return _("%(seconds)d s") % {"seconds": seconds}
    if seconds < 2 * 3600:
        return _("%(minutes)d min") % {"minutes": seconds // 60}
    if seconds < 2 * 86400:
        return _("%(hours)d h") % {"hours": seconds // 3600}
    return _("%(days)d days") % {"days": seconds // 86400}


def level_of(*, warn: bool, alarm: bool) -> Level:
    """Return how bad it is that one limit is passed, or the other."""
    if alarm:
        return Level.CRITICAL
    return Level.WARNING if warn else Level.OK


def many(messages: int) -> str:
    """Return a count of messages in words, and honestly where counting has stopped."""
    if messages >= CAP:
        return _("more than %(count)s messages") % {"count": number_format(CAP - 1, force_grouping=True)}
    count = number_format(messages, force_grouping=True)
    return ngettext("%(count)s message", "%(count)s messages", messages) % {"count": count}
