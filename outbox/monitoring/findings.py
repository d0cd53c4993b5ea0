"""Judging what was measured: figures and limits in, sentences for people out. No database, no clock.

A finding that is in order is a finding too, and says what proves it: nothing is green because nobody has looked.
"""

from collections.abc import Iterator

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from outbox.conf import Conf
from outbox.monitoring.books import judge_books
from outbox.monitoring.broker_findings import judge_broker
from outbox.monitoring.chain import judge_chain
from outbox.monitoring.chore_findings import judge_maintenance, judge_rescan, switched_off_sentence
from outbox.monitoring.consumer_findings import judge_consumer
from outbox.monitoring.finding import Finding, Level, What, in_words, level_of, many, worst
from outbox.monitoring.gaps import judge_gaps
from outbox.monitoring.halves import judge_halves
from outbox.monitoring.measurements import Measurements
from outbox.monitoring.receipts import judge_receipts
from outbox.monitoring.received import judge_sources
from outbox.policy import ZERO

__all__ = ["Finding", "Level", "What", "evaluate", "in_words", "many", "switched_off_sentence", "worst"]

DOUBLES_NAMED = 10
"""Messages issued twice that have a finding of their own each."""


def evaluate(measurements: Measurements, limits: Conf) -> list[Finding]:
    """Return every finding, the worst first."""
    findings = [
        *judge_rescan(measurements, limits),
        *judge_maintenance(measurements, limits),
        *_sessions(measurements, limits),
        *_double_issues(measurements),
        *_chain(measurements),
        *_broker(measurements, limits),
        *(finding for halves in measurements.halves for finding in judge_halves(halves, limits)),
        *judge_sources(measurements.sources, measurements.quarantine_bytes, limits),
        *judge_receipts(measurements.receipts),
        *_books(measurements, limits),
        *(judge_gaps(measurements.sequences) if measurements.sequences else ()),
        *(finding for consumer in measurements.consumers for finding in judge_consumer(consumer, limits)),
    ]
    return sorted(findings, key=lambda finding: -finding.level)


def _sessions(measurements: Measurements, limits: Conf) -> Iterator[Finding]:
    if not measurements.sessions_seen:
        return
    session = measurements.snapshot
    age = session.age if session else ZERO
    level = level_of(warn=age > limits.snapshot_warning, alarm=age > limits.snapshot_critical)
    limit = limits.snapshot_critical if level is Level.CRITICAL else limits.snapshot_warning
    if session is not None and level:
        text = _(
            "A transaction of %(who)s (process %(pid)d) has been open for %(age)s, limit %(limit)s: vacuum cannot "
            "clean up, and everything slows down. End it, or have PostgreSQL do so: "
            "SELECT pg_terminate_backend(%(pid)d)."
        )
        words = {"who": session.who, "pid": session.pid, "age": in_words(age), "limit": in_words(limit)}
        sentence = text % words
    else:
        text = _("The oldest open snapshot of the database is %(age)s old (limit %(limit)s).")
        sentence = text % {"age": in_words(age), "limit": in_words(limit)}
    yield Finding(level, What.SNAPSHOT, sentence, "", age.total_seconds(), limit.total_seconds())
    limit = limits.idle_warning
    if measurements.idle:
        text = ngettext(
            "%(many)d session has been idle in a transaction for more than %(limit)s: it holds locks and keeps vacuum "
            "from cleaning up. Find out who holds it, and set idle_in_transaction_session_timeout.",
            "%(many)d sessions have been idle in a transaction for more than %(limit)s: they hold locks and keep "
            "vacuum from cleaning up. Find out who holds them, and set idle_in_transaction_session_timeout.",
            measurements.idle,
        )
    else:
        text = _("No session has been idle in a transaction for more than %(limit)s.")
    level = Level.WARNING if measurements.idle else Level.OK
    yield Finding(
        level, What.IDLE, text % {"many": measurements.idle, "limit": in_words(limit)}, "", measurements.idle, 0
    )


def _chain(measurements: Measurements) -> Iterator[Finding]:
    yield from judge_chain(measurements.chain, known_for=measurements.known_for, plan=measurements.plan("audit"))


def _broker(measurements: Measurements, limits: Conf) -> Iterator[Finding]:
    """Judge the last look. Where the rescan is overdue, that says why nobody looks at the broker either."""
    if measurements.broker is None:
        return
    overdue = (
        measurements.rescan is None or measurements.rescan > limits.rescan_limit + measurements.plan("rescan").later
    )
    for finding in judge_broker(measurements.broker, known_for=measurements.known_for):
        if not (overdue and finding.what is What.WATCH and finding.level):
            yield finding


def _books(measurements: Measurements, limits: Conf) -> Iterator[Finding]:
    plan = measurements.plan("books")
    limit = limits.maintenance_limit + plan.later
    if plan.switched_off and measurements.books:
        yield Finding(Level.WARNING, What.MAINTENANCE, switched_off_sentence("books", plan), "books")
    yield from judge_books(measurements.books, limit=limit, switched_off=bool(plan.switched_off))


def _double_issues(measurements: Measurements) -> Iterator[Finding]:
    """Tell of each message that was issued twice, so that people hear of each once; of very many, of the rest."""
    found = measurements.double_issues
    for one in found[:DOUBLES_NAMED]:
        text = _(
            "%(name)s: message %(id)s was issued by hand (%(evidence)s) and by the machine as well. Ask the other "
            "side, take one back, then acknowledge it at the message."
        )
        words = {"name": one.consumer, "id": one.message, "evidence": one.evidence or "…"}
        yield Finding(Level.CRITICAL, What.DOUBLED, text % words, str(one.message), 1, 0)
    if (more := len(found) - DOUBLES_NAMED) > 0:
        text = _("Issued by hand and by the machine as well, beside those that are named: %(many)s.")
        yield Finding(Level.CRITICAL, What.DOUBLED, text % {"many": many(more)}, "", more, 0)
