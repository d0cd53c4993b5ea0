"""Why the rescan does not run, or not as it should: what is known, one cause out of it, and the sentence for people.

Every place that speaks of an overdue rescan takes the sentence from here: the findings (so ``outbox_status``, the desk,
the alerts and the metrics) and ``/readyz``. Nothing is looked at while all is well.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from logging import getLogger
from typing import Any
from uuid import uuid4

from django.db import Error, connections, transaction
from django.db.models import DurationField, ExpressionWrapper, F
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from outbox.broker.lookout import Lookout, QueueLook
from outbox.broker.queues import queue_name
from outbox.conf import conf
from outbox.errors import BrokerAway, BrokerDistrusted, BrokerRefuses
from outbox.failures.fingerprint import in_a_line
from outbox.models import Heartbeat

log = getLogger("outbox.causes")

FAILURE = "rescan that failed"
"""The heartbeat of the last rescan that raised an error."""
NOT_FOUND = 404
SERVER_UP = "SELECT clock_timestamp() - pg_postmaster_start_time()"


class Cause(Enum):
    """What keeps the rescan from running."""

    DATABASE_TAKES_NOTHING = auto()
    DOOR_CLOSED = auto()
    NO_TRUST = auto()
    BROKER_AWAY = auto()
    RESCAN_FAILS = auto()
    QUEUE_REFUSED = auto()
    EXCHANGE_REFUSED = auto()
    NO_WORKER = auto()
    DATABASE_WAS_AWAY = auto()
    WORKER_STUCK = auto()
    BEAT_SILENT = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was seen. ``takers`` of the control queue, None if not known; ``refused`` is what the broker said,
    and ``distrusted`` what is in the way of TLS.

    ``failed`` is the error of the last rescan if none has succeeded since. ``server_up`` is the age of PostgreSQL's
    server if it was started after the last success.
    """

    unwritable: str = ""
    broker_away: str = ""
    distrusted: str = ""
    refused_queue: str = ""
    refused: Mapping[str, Any] | None = None
    failed: str = ""
    failed_ago: timedelta | None = None
    takers: int | None = None
    waiting: int = 0
    server_up: timedelta | None = None


def diagnose(seen: Evidence) -> Cause:
    """Return why the rescan is overdue. Of several causes, the one that explains the others is returned."""
    signs = {
        Cause.DATABASE_TAKES_NOTHING: bool(seen.unwritable),
        Cause.DOOR_CLOSED: seen.refused is not None and not seen.refused_queue,
        Cause.NO_TRUST: bool(seen.distrusted),
        Cause.BROKER_AWAY: bool(seen.broker_away),
        Cause.RESCAN_FAILS: bool(seen.failed),
        Cause.EXCHANGE_REFUSED: seen.refused is not None and seen.takers == 0,
        Cause.QUEUE_REFUSED: seen.refused is not None,
        Cause.NO_WORKER: seen.takers == 0,
        Cause.DATABASE_WAS_AWAY: seen.server_up is not None,
        Cause.WORKER_STUCK: bool(seen.takers and seen.waiting),
        Cause.BEAT_SILENT: bool(seen.takers),
    }
    return next((cause for cause, is_seen in signs.items() if is_seen), Cause.UNKNOWN)


def look(last_success: timedelta | None) -> Evidence:
    """Look at everything that may be the cause; takes as long as the broker needs to answer, or to be given up."""
    seen: dict[str, Any] = {"unwritable": _why_unwritable()}
    seen |= _look_at_failure(last_success) | _look_at_server(last_success) | _look_at_control_queue()
    return Evidence(**seen)


@contextmanager
def noting_failure() -> Iterator[None]:
    """Write down that a rescan failed, and with what, for those who ask why none succeeds; the error goes on."""
    try:
        yield
    except Exception as error:
        _note(error)
        raise


def _note(error: Exception) -> None:
    try:
        connection = connections[conf().database]
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
        Heartbeat.objects.record(FAILURE, error=in_a_line(error))
    except Error as trouble:
        # What failed the rescan fails this as well; the first error says it.
        log.debug("the failure could not be written down: %r", trouble)


def _why_unwritable() -> str:
    """Write a row and take it back; return what PostgreSQL says against it: read-only, disk full."""
    alias = conf().database
    try:
        with transaction.atomic(using=alias):
            Heartbeat.objects.bulk_create([Heartbeat(name=f"look {uuid4().hex}")])
            transaction.set_rollback(True, using=alias)
    except Error as error:
        return in_a_line(error)
    return ""


def _look_at_failure(last_success: timedelta | None) -> dict[str, Any]:
    age = ExpressionWrapper(Now() - F("at"), output_field=DurationField())
    found = Heartbeat.objects.filter(name=FAILURE).annotate(age=age).values_list("age", "data").first()
    if found is None or (last_success is not None and found[0] > last_success):
        return {}
    return {"failed": str(found[1].get("error", "")), "failed_ago": found[0]}


def _look_at_server(last_success: timedelta | None) -> dict[str, Any]:
    connection = connections[conf().database]
    if connection.vendor != "postgresql" or last_success is None:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(SERVER_UP)
        (up,) = cursor.fetchone()
    return {"server_up": up} if up < last_success else {}


def _look_at_control_queue() -> dict[str, Any]:
    name, lookout = queue_name("control"), Lookout()
    found: dict[str, Any] = {}
    try:
        seen = _look_at(name, lookout)
        if seen is not None:
            found = {"takers": seen.takers, "waiting": seen.waiting}
            if not seen.takers:
                lookout.look_at_exchanges()
    except BrokerRefuses as error:
        found |= {"refused_queue": error.queue, "refused": error.details}
    except BrokerDistrusted as error:
        return {"distrusted": str(error)}
    except BrokerAway as error:
        return {"broker_away": str(error)}
    finally:
        lookout.close()
    return found


def _look_at(queue: str, lookout: Lookout) -> QueueLook | None:
    """Look at the queue; where it is not there nobody takes from it."""
    try:
        return lookout.look_at(queue)
    except BrokerRefuses as error:
        if error.queue == queue and error.details["code"] == NOT_FOUND:
            return QueueLook(waiting=0, takers=0)
        raise


def sentence(seen: Evidence) -> str:
    """Return what is the matter and what to do."""
    queue = queue_name("control")
    words: dict[str, Any] = {"queue": queue, "waiting": seen.waiting, "error": seen.unwritable or seen.failed}
    match diagnose(seen):
        case Cause.DATABASE_TAKES_NOTHING:
            text = _("The database answers and takes nothing (%(error)s): is its disk full, or is it a standby?")
        case Cause.DOOR_CLOSED:
            text = _("RabbitMQ does not let us in (%(said)s): correct user, password and vhost in Celery's broker_url.")
            words["said"] = (seen.refused or {}).get("said", "")
        case Cause.NO_TRUST:
            text = _("There is no TLS with RabbitMQ: %(said)s.")
            words["said"] = seen.distrusted
        case Cause.BROKER_AWAY:
            text = _("The broker is away (%(said)s): start RabbitMQ, or correct Celery's broker_url.")
            words["said"] = seen.broker_away
        case Cause.RESCAN_FAILS:
            text = _("Each rescan fails (%(error)s): look at the traceback in the control worker's log.")
        case Cause.EXCHANGE_REFUSED:
            text = _(
                "RabbitMQ denies “%(user)s” the exchange %(exchange)s (%(said)s), without which no worker becomes "
                "ready: rabbitmqctl set_permissions -p '%(vhost)s' '%(user)s' "
                "'^(%(prefix)s\\.|celeryev|.*celery\\.pidbox$)' "
                "'^(%(prefix)s\\.|celeryev|.*celery\\.pidbox$|amq\\.default)' "
                "'^(%(prefix)s\\.|celeryev|.*celery\\.pidbox$)', with what else it needs."
            )
            words |= {"exchange": seen.refused_queue, "prefix": re.escape(conf().prefix), **(seen.refused or {})}
        case Cause.QUEUE_REFUSED:
            text = _("RabbitMQ refuses the queue %(queue)s (%(said)s): no worker can take from it.")
            words["said"] = (seen.refused or {}).get("said", "")
        case Cause.NO_WORKER:
            text = _("No worker takes from the queue %(queue)s: start the control worker.")
        case Cause.DATABASE_WAS_AWAY:
            text = _("The database server was started anew since: workers go on as soon as they have noticed.")
        case Cause.WORKER_STUCK:
            text = _(
                "A worker is on the queue %(queue)s and does not get on (%(waiting)d calls wait): see its log, "
                "or restart it."
            )
        case Cause.BEAT_SILENT:
            text = _("A worker is on the queue %(queue)s and nobody calls it: start celery-beat.")
        case _:
            text = _("Is celery-beat running, and a worker on the queue %(queue)s?")
    return text % words
