"""What the broker refused at the last rescan, as the database has it."""

from django.core.checks import Warning
from django.db import Error

from outbox.checks.database import CheckMessages
from outbox.monitoring.findings import What
from outbox.monitoring.health import health


def check_queues() -> CheckMessages:
    """Yield a warning for each queue, or for the vhost, with the command that mends it."""
    try:
        findings = health().findings
    except Error:
        # Not migrated yet, or not to be reached; Django says so itself.
        return
    for finding in findings:
        if finding.level and finding.what in (What.QUEUE, What.BROKER):
            yield Warning(
                finding.sentence,
                hint="Once it is mended, the next rescan sends what waits, and workers consume within half a minute.",
                id="outbox.W031",
            )
