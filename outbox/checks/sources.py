"""What comes from other systems: that each source has a broker, and messages that somebody listens to."""

from django.core.checks import Error, Info, Warning

from outbox import registry, sources
from outbox.broker.queues import celery_app
from outbox.checks.database import CheckMessages
from outbox.conf import conf
from outbox.errors import BrokerAway


def check_sources() -> CheckMessages:
    """Yield what keeps a source from being received, or its messages from being published."""
    for source in sources.all_sources():
        if source.broker and source.broker not in conf().brokers:
            yield Error(
                f"receive({source.queue!r}): there is no broker {source.broker!r}.",
                hint='Name it with its address in OUTBOX["BROKERS"], or leave broker= out: then it is Celery\'s own.',
                id="outbox.E060",
            )
        if not source.broker and not _is_amqp():
            yield Info(
                f"receive({source.queue!r}): messages are received from AMQP alone, and Celery's broker is another.",
                hint='Give it broker= with a name of OUTBOX["BROKERS"]. In the embedded mode nothing is received.',
                id="outbox.I004",
            )
        if source.receipts_of:
            yield Info(
                f"receipts of {source.receipts_of!r} are not signed: whoever may write to the queue {source.queue!r} "
                "is believed.",
                hint='Permit only this receiver to write there, or give it a secret in OUTBOX["RECEIVERS"].',
                id="outbox.I005",
            )
        if source.receipts_of is None and isinstance(source.topic, str) and not registry.consumers_of(source.topic):
            yield Warning(
                f"receive({source.queue!r}): no consumer listens to {source.topic!r}, so all goes into quarantine.",
                hint="Write a consumer of this topic, or mend topic=.",
                id="outbox.W061",
            )


def _is_amqp() -> bool:
    try:
        return str(celery_app().connection_for_read().transport.driver_type) == "amqp"
    except (BrokerAway, ImportError, KeyError):
        return True  # what is wrong with Celery's settings, other checks say
