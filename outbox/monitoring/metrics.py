"""The figures as Prometheus reads them, taken from the tables at the moment of the scrape.

Every web process answers with the same figures, for they are the database's: scrape one address, or take ``max`` over
the instances as the files in ``outbox/monitoring`` do. Gauges are measured by ``health``; counters and the latency
histogram are the totals that ``rollup`` keeps, a minute old at the most, and they never fall: not with a restart, and
not when messages are pruned.

There are no counters of the workers' own. A prefork child has no port that could be scraped, prometheus_client's shared
files outlive the children they belong to, and a killed worker would take its counts along; the table forgets nothing.
The price is that what only a process knows, such as the size of its chunks, cannot be scraped.
"""

from collections.abc import Iterator
from math import inf

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from outbox import registry
from outbox.conf import conf
from outbox.models import AttemptOutcome, TotalStat
from outbox.models.book import Difference
from outbox.models.stats import BOUNDS
from outbox.monitoring.books import BookMeasurements
from outbox.monitoring.broker_metrics import broker_metrics
from outbox.monitoring.findings import Finding, Level
from outbox.monitoring.gaps import SequenceMeasurements
from outbox.monitoring.health import health
from outbox.monitoring.measurements import ChainMeasurements, ConsumerMeasurements, HalfMeasurements, Measurements

ATTEMPTS = {"success": "successes", **{outcome: outcome for outcome in AttemptOutcome.values}}
"""The outcome of an attempt as a label, and the column that counts it."""


def exposition() -> bytes:
    """Return all metrics in Prometheus's text format, version 0.0.4."""
    scrape = CollectorRegistry()
    scrape.register(OutboxCollector())
    return generate_latest(scrape)


class OutboxCollector(Collector):
    """Measures when it is asked, and keeps nothing."""

    def describe(self) -> Iterator[Metric]:
        """Name nothing in advance, so that registering does not measure."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Measure and return every metric."""
        seen = health()
        yield from _findings(seen.findings)
        yield from _engine(seen.measurements)
        yield from broker_metrics(seen.measurements.broker)
        yield from _halves(seen.measurements.halves)
        yield from _source_metrics(seen.measurements)
        yield from _consumer_metrics(seen.measurements.consumers)
        yield from _awaited(seen.measurements.consumers)
        yield from _total_metrics(list(TotalStat.objects.order_by("consumer")))


def _findings(findings: tuple[Finding, ...]) -> Iterator[Metric]:
    family = GaugeMetricFamily("outbox_findings", "Findings of the health check by level.", labels=["level"])
    for level in Level:
        family.add_metric([level.word], sum(finding.level is level for finding in findings))
    yield family


def _engine(measurements: Measurements) -> Iterator[Metric]:
    rescan = inf if measurements.rescan is None else measurements.rescan.total_seconds()
    yield GaugeMetricFamily("outbox_rescan_age_seconds", "Seconds since the rescan last succeeded.", rescan)
    limit = conf().rescan_limit + measurements.plan("rescan").later
    yield GaugeMetricFamily(
        "outbox_rescan_limit_seconds", "Age of the last rescan at which it is overdue.", limit.total_seconds()
    )
    yield GaugeMetricFamily(
        "outbox_broker_away", "1 if the broker did not answer at the last rescan.", int(measurements.broker_away)
    )
    maintenance_jobs = GaugeMetricFamily(
        "outbox_maintenance_job_age_seconds",
        "Seconds since a maintenance job last succeeded.",
        labels=["maintenance_job"],
    )
    for chore, age in measurements.maintenance_jobs.items():
        maintenance_jobs.add_metric([chore], inf if age is None else age.total_seconds())
    yield maintenance_jobs
    yield GaugeMetricFamily(
        "outbox_statistics_behind_seconds", "How far counters and charts lag.", measurements.behind.total_seconds()
    )
    yield GaugeMetricFamily(
        "outbox_double_issues",
        "Messages issued by hand and by the machine as well, which nobody has acknowledged.",
        len(measurements.double_issues),
    )
    yield from _audit(measurements.chain)
    yield from _books(measurements.books)
    yield from _sequences(measurements.sequences)
    if measurements.sessions_seen:
        held = measurements.snapshot
        yield GaugeMetricFamily(
            "outbox_snapshot_age_seconds",
            "Age of the oldest transaction that keeps vacuum back.",
            held.age.total_seconds() if held else 0,
        )
        yield GaugeMetricFamily(
            "outbox_snapshot_age_transactions",
            "Transactions begun since the oldest one that keeps vacuum back.",
            held.transactions if held else 0,
        )
        yield GaugeMetricFamily(
            "outbox_idle_in_transaction_sessions",
            "Sessions that are idle in a transaction for too long.",
            measurements.idle,
        )


def _audit(chain: ChainMeasurements) -> Iterator[Metric]:
    yield GaugeMetricFamily("outbox_audit_broken", "1 while the chain of the audit breaks.", int(bool(chain.broken)))
    yield GaugeMetricFamily(
        "outbox_audit_checked_age_seconds",
        "Seconds since a check of the audit's chain has ended.",
        inf if chain.checked_ago is None else chain.checked_ago.total_seconds(),
    )


def _sequences(measured: SequenceMeasurements | None) -> Iterator[Metric]:
    if measured is None:
        return
    gaps = GaugeMetricFamily(
        "outbox_gaps", "Messages of a source that are missing, by what its sender says.", labels=["source", "said"]
    )
    silent = GaugeMetricFamily(
        "outbox_silent_streams", "Numbered streams of a source without a heartbeat.", labels=["source"]
    )
    for source, by_said in measured.gaps.items():
        for said, many in by_said.items():
            gaps.add_metric([source, said], many)
    for source, many in measured.silent.items():
        silent.add_metric([source], many)
    yield from (gaps, silent)


def _halves(checks: tuple[HalfMeasurements, ...]) -> Iterator[Metric]:
    halves = GaugeMetricFamily("outbox_halves", "Half messages that are not settled.", labels=["check", "state"])
    overdue = GaugeMetricFamily(
        "outbox_halves_overdue_seconds", "How long ago the oldest question to a check was due.", labels=["check"]
    )
    for check in checks:
        halves.add_metric([check.check, "open"], check.open)
        halves.add_metric([check.check, "unknown"], check.unknown)
        overdue.add_metric([check.check], check.overdue.total_seconds() if check.overdue else 0)
    yield from (halves, overdue)


def _source_metrics(measurements: Measurements) -> Iterator[Metric]:
    """Return what receivers have taken in; nothing where there is no source."""
    if not measurements.sources:
        return
    received = CounterMetricFamily(
        "outbox_received", "Messages that came from a source, by what became of them.", labels=["source", "outcome"]
    )
    age = GaugeMetricFamily("outbox_receiver_age_seconds", "Seconds since a receiver was heard of.", labels=["source"])
    held = GaugeMetricFamily("outbox_receiver_held", "1 while nothing of it is taken in.", labels=["source", "hold"])
    waiting = GaugeMetricFamily("outbox_quarantined", "Quarantined messages that wait.", labels=["source"])
    for source in measurements.sources:
        for outcome in ("taken", "known", "quarantined"):
            received.add_metric([source.name, outcome], getattr(source, outcome))
        age.add_metric([source.name], inf if source.said_ago is None else source.said_ago.total_seconds())
        if source.hold:
            held.add_metric([source.name, source.hold], 1)
        waiting.add_metric([source.name], source.waiting)
    yield from (received, age, held, waiting)
    yield GaugeMetricFamily(
        "outbox_quarantine_bytes", "Bytes of quarantined messages that wait.", measurements.quarantine_bytes
    )
    if measurements.receipts:
        receipts = CounterMetricFamily("outbox_receipts", "Receipts by what they came to.", labels=["outcome"])
        for one in measurements.receipts:
            receipts.add_metric([one.kind.value], one.many)
        yield receipts


def _books(books: tuple[BookMeasurements, ...]) -> Iterator[Metric]:
    differences = GaugeMetricFamily(
        "outbox_book_differences", "Differences of a book that nobody has explained.", labels=["book", "kind"]
    )
    age = GaugeMetricFamily("outbox_book_age_seconds", "Seconds since a book was last read.", labels=["book"])
    for book in books:
        for kind in Difference.values:
            differences.add_metric([book.name, kind], book.differences.get(kind, 0))
        age.add_metric([book.name], inf if book.read_ago is None else book.read_ago.total_seconds())
    yield from (differences, age)


def _consumer_metrics(consumers: tuple[ConsumerMeasurements, ...]) -> Iterator[Metric]:
    messages = GaugeMetricFamily(
        "outbox_messages", "Messages that are not settled, counted up to 200,001.", labels=["consumer", "status"]
    )
    oldest = GaugeMetricFamily(
        "outbox_oldest_age_seconds", "How long the oldest unfinished message has waited.", labels=["consumer"]
    )
    paused = GaugeMetricFamily("outbox_paused", "1 while the consumer is paused.", labels=["consumer"])
    broken = GaugeMetricFamily("outbox_breaker_open", "1 while the breaker is open.", labels=["consumer"])
    gone = GaugeMetricFamily("outbox_consumer_gone", "1 if the running code lacks the consumer.", labels=["consumer"])
    places = GaugeMetricFamily(
        "outbox_places", "Calls that may be made at once, in all processes.", labels=["consumer"]
    )
    taken = GaugeMetricFamily("outbox_places_taken", "Calls that are made now.", labels=["consumer"])
    stuck = GaugeMetricFamily("outbox_calls_given_up", "Calls given up that still run.", labels=["consumer"])
    held = GaugeMetricFamily("outbox_held_keys", "Ordering keys that a failed message holds.", labels=["consumer"])
    for consumer in consumers:
        name = consumer.name
        messages.add_metric([name, "pending"], consumer.pending)
        messages.add_metric([name, "started"], consumer.started)
        messages.add_metric([name, "failed"], consumer.exhausted)
        oldest.add_metric([name], consumer.oldest.total_seconds() if consumer.oldest else 0)
        paused.add_metric([name], int(consumer.paused_for is not None))
        broken.add_metric([name], int(consumer.breaker_open))
        gone.add_metric([name], int(not consumer.in_code))
        places.add_metric([name], consumer.places)
        taken.add_metric([name], consumer.taken)
        stuck.add_metric([name], consumer.stuck)
        held.add_metric([name], consumer.held_keys)
    yield from (messages, oldest, paused, broken, gone, places, taken, stuck, held)


def _awaited(consumers: tuple[ConsumerMeasurements, ...]) -> Iterator[Metric]:
    """Return what each forward with a receipt waits for; nothing where there is none."""
    forwards = [consumer for consumer in consumers if _waits_for_receipts(consumer.name)]
    if not forwards:
        return
    awaited = GaugeMetricFamily(
        "outbox_receipts_awaited",
        "Messages that are sent, or being sent, and of which their receiver has said nothing.",
        labels=["consumer"],
    )
    for consumer in forwards:
        awaited.add_metric([consumer.name], consumer.started)
    yield awaited


def _waits_for_receipts(name: str) -> bool:
    entry = registry.get(name)
    return entry is not None and entry.relay is not None and entry.relay.receipt is not None


def _total_metrics(totals: list[TotalStat]) -> Iterator[Metric]:
    attempts = CounterMetricFamily("outbox_attempts", "Attempts by how they ended.", labels=["consumer", "outcome"])
    exhausted = CounterMetricFamily("outbox_exhausted", "Messages that failed for good.", labels=["consumer"])
    latency = HistogramMetricFamily("outbox_latency_seconds", "Seconds from commit to success.", labels=["consumer"])
    for total in totals:
        for outcome, column in ATTEMPTS.items():
            attempts.add_metric([total.consumer, outcome], getattr(total, column))
        exhausted.add_metric([total.consumer], total.exhausted)
        latency.add_metric([total.consumer], _buckets(total.latency_counts), total.latency_sum)
    yield from (attempts, exhausted, latency)


def _buckets(counts: list[int]) -> list[tuple[str, float]]:
    """Return the histogram as Prometheus wants it: each bucket counts everything up to its bound."""
    bounds = [*(str(bound) for bound in BOUNDS), "+Inf"]
    return [(bound, sum(counts[: step + 1])) for step, bound in enumerate(bounds)]
