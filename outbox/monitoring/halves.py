"""Judging what was measured of half messages: those that wait for a person, and checks that nobody asks."""

from collections.abc import Iterator

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from outbox.conf import Conf
from outbox.monitoring.finding import Finding, Level, What, in_words, level_of
from outbox.monitoring.measurements import HalfMeasurements
from outbox.policy import ZERO


def judge_halves(halves: HalfMeasurements, limits: Conf) -> Iterator[Finding]:
    """Tell of half messages that wait for a person, and of checks that nobody asks."""
    words = {"check": halves.check}
    if halves.unknown:
        text = ngettext(
            "%(check)s: %(many)d half message is unknown, as its check does not know. Look whether its write is there, "
            "then publish it or take it back at the desk.",
            "%(check)s: %(many)d half messages are unknown, as their check does not know. Look whether their writes "
            "are there, then publish them or take them back at the desk.",
            halves.unknown,
        )
        sentence = text % {**words, "many": halves.unknown}
        yield Finding(Level.WARNING, What.HALVES, sentence, f"{halves.check}:unknown", halves.unknown, 0)
    age = halves.overdue or ZERO
    level = level_of(warn=age > limits.oldest_warning, alarm=age > limits.oldest_critical)
    limit = limits.oldest_critical if level is Level.CRITICAL else limits.oldest_warning
    words |= {"age": in_words(age), "limit": in_words(limit)}
    if level:
        text = _(
            "%(check)s: a half message should have been asked about %(age)s ago, limit %(limit)s. Is the worker of the "
            "engine's chores running, and do checks hang?"
        )
    else:
        text = _("%(check)s: half messages are asked about in time (limit %(limit)s).")
    yield Finding(level, What.HALVES, text % words, halves.check, age.total_seconds(), limit.total_seconds())
