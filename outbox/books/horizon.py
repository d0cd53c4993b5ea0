"""Before which moment nothing can be written any more: the beginning of the oldest transaction that is running.

What a transaction writes is dated from its beginning on at the earliest, where the database dates it, and may be seen
only when it commits. So what is older than every running transaction has been seen by whoever reads now.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connections
from django.db.models.functions import Now

from outbox.conf import conf
from outbox.models import Heartbeat

CLOCKS_APART = timedelta(seconds=5)
"""How far the clock of a process that dates its rows itself may be behind the database's."""

OLDEST = """
SELECT least(
    statement_timestamp(),
    (SELECT min(xact_start) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'),
    (SELECT min(prepared) FROM pg_prepared_xacts WHERE database = current_database())
)
"""
"""Sessions of other roles are seen with ``pg_monitor``, as by the health check."""

HEARTBEAT = "books"


class Horizon(NamedTuple):
    """The database's clock, and the moment before which no running transaction began."""

    now: datetime
    settled: datetime


def look() -> Horizon:
    """Ask the database. SQLite has one writer at a time, which has committed when others can read."""
    Heartbeat.objects.get_or_create(name=HEARTBEAT)
    now = Heartbeat.objects.filter(name=HEARTBEAT).annotate(now=Now()).values_list("now", flat=True).get()
    connection = connections[conf().database]
    if connection.vendor != "postgresql":
        return Horizon(now, now - CLOCKS_APART)
    with connection.cursor() as cursor:
        cursor.execute(OLDEST)
        (oldest,) = cursor.fetchone()
    return Horizon(now, min(now, oldest) - CLOCKS_APART)
