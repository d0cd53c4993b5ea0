"""What the broker refuses: at the last rescan, as that has noted it in the database, or now, where none succeeds."""

from collections.abc import Iterator

from django.core.checks import Warning
from django.db import Error

from outbox.checks.database import CheckMessages
from outbox.monitoring import causes
from outbox.monitoring.causes import Cause
from outbox.monitoring.finding import Finding
from outbox.monitoring.findings import What
from outbox.monitoring.health import health

THE_BROKERS = {Cause.DOOR_CLOSED, Cause.NO_TRUST, Cause.BROKER_AWAY, Cause.QUEUE_REFUSED, Cause.EXCHANGE_REFUSED}


def check_queues() -> CheckMessages:
    """Yield a warning for each queue, or for the vhost, with the command that mends it."""
    try:
        sentences = list(_sentences(health().findings))
    except Error:
        # Not migrated yet, or not to be reached; Django says so itself.
        return
    for sentence in sentences:
        yield Warning(
            sentence,
            hint="Once it is mended, the next rescan sends what waits, and workers consume within half a minute.",
            id="outbox.W031",
        )


def _sentences(findings: tuple[Finding, ...]) -> Iterator[str]:
    bad = [finding for finding in findings if finding.level]
    noted = [finding.sentence for finding in bad if finding.what in (What.QUEUE, What.BROKER)]
    yield from noted
    if not noted and any(finding.what == What.RESCAN for finding in bad):
        # Before the first worker is started, or where none gets in, nobody has noted anything.
        evidence = causes.look(None)
        if causes.diagnose(evidence) in THE_BROKERS:
            yield causes.sentence(evidence)
