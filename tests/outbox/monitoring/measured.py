"""Measurements of an installation in order, and the findings about one thing."""

from dataclasses import replace

from outbox.conf import Conf
from outbox.monitoring.findings import What, evaluate
from outbox.monitoring.measurements import ConsumerMeasurements, Measurements
from tests.harness.clock import HOUR, MINUTE, SECOND

LIMITS = Conf(prefix="mine")
FINE = Measurements(rescan=SECOND, known_for=HOUR, maintenance_jobs={"prune": MINUTE}, sessions_seen=True)


def of(what: What, measurements: Measurements) -> list[tuple[str, str]]:
    """Return level and sentence of the findings about one thing."""
    return [
        (finding.level.word, finding.sentence) for finding in evaluate(measurements, LIMITS) if finding.what is what
    ]


def of_consumer(what: What, **measurements: object) -> list[tuple[str, str]]:
    """The same for one consumer."""
    consumer = ConsumerMeasurements(name="coupon", **measurements)  # type: ignore[arg-type]
    return of(what, replace(FINE, consumers=(consumer,)))
