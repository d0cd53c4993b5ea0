"""Is everything in order, and if not, what must a person do? Measured now, within a tenth of a second.

Whatever the size of the message table, only its partial indexes are read: unfinished and exhausted rows, at most
``CAP`` of each consumer. Ages are computed by the database. On SQLite there are no sessions to look at.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, NamedTuple

from django.db import connections, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Case, DurationField, ExpressionWrapper, F, Q, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from outbox import registry
from outbox.conf import conf
from outbox.memory import Memory
from outbox.models import ConsumerState
from outbox.models.sql import held_keys
from outbox.models.sql.backlog import Backlog, FailedGroup, measure_backlogs
from outbox.monitoring import causes
from outbox.monitoring.books import measure_books
from outbox.monitoring.broker import HEARTBEAT as BROKER
from outbox.monitoring.broker import measure_broker
from outbox.monitoring.chain import HEARTBEAT as AUDIT
from outbox.monitoring.chain import measure_chain
from outbox.monitoring.findings import Finding, Level, evaluate, in_words, switched_off_sentence, worst
from outbox.monitoring.measurements import (
    BURST,
    CAP,
    ConsumerMeasurements,
    HeldKey,
    Measurements,
    Session,
)
from outbox.monitoring.notes import HeartbeatNote, Notes, read_heartbeats, read_notes
from outbox.monitoring.planned import read_plans
from outbox.monitoring.receipts import measure_receipts
from outbox.monitoring.received import measure_sources
from outbox.policy import ZERO

RESCAN = "rescan"
COVER = "rescan by a worker"
"""The turns at a rescan that workers take when nobody else has done it."""
MAINTENANCE_JOBS = ("prune", "rollup", "alerts", AUDIT)
"""The chores whose heartbeat is watched beside the rescan's."""

SESSIONS = """
SELECT set_config('jit', 'off', true), idle.sessions, pid, who, age, transactions
FROM (
    SELECT count(*) AS sessions FROM pg_stat_activity
    WHERE datname = current_database() AND state LIKE 'idle in transaction%%'
        AND state_change < clock_timestamp() - %s * interval '1 second'
) AS idle LEFT JOIN (
    SELECT pid, concat_ws(', ', usename, nullif(application_name, ''), host(client_addr)) AS who,
        extract(epoch FROM clock_timestamp() - xact_start) AS age,
        greatest(age(backend_xmin), age(backend_xid)) AS transactions
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
        AND xact_start IS NOT NULL AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)
    ORDER BY xact_start LIMIT 1
) AS oldest ON TRUE
"""
"""The sessions that are idle in a transaction, and the one whose snapshot keeps vacuum back the longest.

In passing it turns off the compiling of statements for the transaction: the planner takes the statement over all
consumers for large, and compiles it for longer than it runs.
"""


@dataclass(frozen=True)
class Health:
    """What was measured, and the findings, worst first."""

    measurements: Measurements
    findings: tuple[Finding, ...]

    @cached_property
    def level(self) -> Level:
        """The worst level among the findings."""
        return worst(self.findings)

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON can carry it; spans are seconds."""
        findings = [
            {**asdict(finding), "level": finding.level.word, "about": finding.about} for finding in self.findings
        ]
        return {"level": self.level.word, "findings": findings, **_plain(asdict(self.measurements))}


def health() -> Health:
    """Measure and judge."""
    measurements = measure()
    return Health(measurements, tuple(evaluate(measurements, conf())))


def unready() -> list[str]:
    """Return why this installation is not ready to do its work: migrations not applied, rescan overdue."""
    if names := _unapplied():
        return [_("Migrations are not applied: %(names)s.") % {"names": ", ".join(names)}]
    noted = read_heartbeats([RESCAN]).heartbeats.get(RESCAN)
    age, plan = noted.age if noted else None, read_plans(with_who=True)[RESCAN]
    limit = conf().rescan_limit + plan.later
    if plan.switched_off and (age is None or age > limit):
        return [switched_off_sentence(RESCAN, plan)]
    if age is None:
        return [_("The rescan has never succeeded."), causes.sentence(causes.look(age))]
    if age > limit:
        words = {"age": in_words(age), "limit": in_words(limit)}
        text = _("The rescan last succeeded %(age)s ago, limit %(limit)s.") % words
        return [text, causes.sentence(causes.look(age))]
    return []


_applied: Memory[set[str]] = Memory(set)


def _unapplied() -> list[str]:
    """Return the migrations that the database lacks. Once none is missing, the process does not ask again."""
    alias = conf().database
    if alias in _applied.value:
        return []
    executor = MigrationExecutor(connections[alias])
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if not plan:
        _applied.value.add(alias)
    return [f"{migration.app_label}.{migration.name}" for migration, _backwards in plan]


@dataclass(frozen=True, slots=True)
class Reading:
    """What was measured, and what it was measured of: the rows that hold consumers back, and what failed by reason."""

    measurements: Measurements
    states: Mapping[str, ConsumerState]
    groups: Sequence[FailedGroup]


def measure() -> Measurements:
    """Read everything that is judged."""
    return read().measurements


def read() -> Reading:
    """Read everything that is judged, in half a dozen small statements, however many consumers there are."""
    sessions_seen = connections[conf().database].vendor == "postgresql"
    # One transaction for both, as the first turns off what would slow down the second; no look at the broker is in it.
    with transaction.atomic(using=conf().database, savepoint=False):
        sessions = _look_at_sessions() if sessions_seen else Sessions(None, 0)
        backlogs = measure_backlogs(registry.consumer_names(), cap=CAP, fresh=BURST)
    waiting = [name for name, backlog in backlogs.items() if (backlog.oldest or ZERO) > conf().oldest_warning]
    notes = read_notes([RESCAN, COVER, BROKER, *MAINTENANCE_JOBS], ended_within=BURST, waiting=waiting)
    heartbeats = notes.heartbeats
    rescan, plans = heartbeats.get(RESCAN, NEVER), read_plans(with_who=True)
    limit = conf().rescan_limit + plans[RESCAN].later
    covered = heartbeats.get(COVER, NEVER).age
    covered = None if covered is None or covered > limit else covered
    is_looked_at = rescan.age is None or rescan.age > limit or covered is not None
    states = {state.consumer: state for state in _states()}
    consumers = tuple(_measure_consumers(backlogs, states, notes))
    of_sources, in_quarantine = measure_sources()
    measurements = Measurements(
        consumers=consumers,
        rescan=rescan.age,
        known_for=rescan.known_for,
        cause=causes.sentence(causes.look(rescan.age)) if is_looked_at else "",
        covered=covered,
        alarmed=bool(rescan.data.get("alarmed")),
        broker_away=bool(rescan.data.get("broker_away")),
        distrusted=str(rescan.data.get("distrusted") or ""),
        refused=dict(rescan.data.get("refused") or {}),
        dropped=dict(rescan.data.get("dropped") or {}),
        failing=dict(rescan.data.get("failing") or {}),
        maintenance_jobs={name: heartbeats.get(name, NEVER).age for name in MAINTENANCE_JOBS},
        plans=plans,
        behind=timedelta(seconds=heartbeats.get("rollup", NEVER).data.get("behind", 0)),
        failed_channels=tuple(heartbeats.get("alerts", NEVER).data.get("failed_channels", [])),
        protected=heartbeats.get("prune", NEVER).data.get("protected", 0),
        exhausted=sum(consumer.exhausted for consumer in consumers),
        double_issues=tuple(notes.double_issues),
        broker=measure_broker(notes),
        chain=measure_chain(heartbeats.get(AUDIT, NEVER)),
        sources=of_sources,
        quarantine_bytes=in_quarantine,
        receipts=measure_receipts(),
        books=measure_books(notes),
        sequences=notes.sequences,
        sessions_seen=sessions_seen,
        snapshot=sessions.oldest,
        idle=sessions.idle,
        halves=tuple(notes.halves),
    )
    return Reading(measurements, states, [group for backlog in backlogs.values() for group in backlog.groups])


NEVER = HeartbeatNote()


def _ago(moment: Combinable) -> Combinable:
    """Return how long ago ``moment`` was on the database's clock."""
    return ExpressionWrapper(Now() - moment, output_field=DurationField())


def _measure_consumers(
    backlogs: Mapping[str, Backlog], states: Mapping[str, Any], notes: Notes
) -> Iterator[ConsumerMeasurements]:
    known = {entry.name: entry for entry in registry.all_consumers()}
    held = _held_keys()
    for name, backlog in backlogs.items():
        yield ConsumerMeasurements(
            name=name,
            in_code=name in known,
            rate=known[name].rate if name in known else None,
            pending=backlog.pending,
            started=backlog.started,
            oldest=backlog.oldest,
            not_ready=notes.not_ready.get(name),
            exhausted=backlog.exhausted,
            new_exhausted=backlog.new_exhausted,
            **notes.ended.get(name, {}),
            **(_hold_of(states[name]) if name in states else {}),
            **notes.places.get(name, {}),
            **held.get(name, {}),
        )


def _held_keys() -> dict[str, dict[str, Any]]:
    """Return, by consumer, the key that a failed message has held for longest, and how many are held."""
    found = held_keys.held_keys(cap=CAP)
    counts = Counter(key.order.consumer for key in found)
    longest = {key.order.consumer: key for key in reversed(found)}
    return {
        name: {
            "held": HeldKey(key.order.ordering_key, key.head, key.held_for, key.behind),
            "held_keys": counts[name],
        }
        for name, key in longest.items()
    }


def _states() -> Iterable[Any]:
    """Read what holds consumers back; ``pause`` is null unless the pause is on."""
    on = Q(paused_until__isnull=True) | Q(paused_until__gt=Now())
    pause = Case(When(on, then=_ago(F("paused_at"))), default=None, output_field=DurationField())
    return ConsumerState.objects.annotate(
        pause=pause,
        resumes=_ago(F("paused_until")),
        probe=_ago(F("probe_at")),
        gone=_ago(F("gone_since")),
        call=_ago(F("next_call")),
    )


def _hold_of(state: Any) -> dict[str, Any]:
    return {
        "paused_for": state.pause,
        "paused_by": state.paused_by if state.pause is not None else "",
        "paused_reason": state.paused_reason if state.pause is not None else "",
        "resumes_in": -state.resumes if state.pause is not None and state.resumes is not None else None,
        "breaker_open": state.breaker == "open",
        "probe_in": -state.probe if state.probe is not None else None,
        "gone_for": state.gone,
        "next_call_in": -state.call if state.call is not None and state.call < ZERO else None,
    }


class Sessions(NamedTuple):
    """The session whose snapshot is the oldest, and how many have been idle in a transaction for long."""

    oldest: Session | None
    idle: int


def _look_at_sessions() -> Sessions:
    """Look at the sessions of the database; those of other roles need ``pg_monitor``."""
    with connections[conf().database].cursor() as cursor:
        cursor.execute(SESSIONS, [conf().idle_warning.total_seconds()])
        _jit, idle, pid, who, seconds, transactions = cursor.fetchone()
    oldest = None if pid is None else Session(pid, who, timedelta(seconds=float(seconds)), transactions)
    return Sessions(oldest, idle)


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return round(value.total_seconds(), 3)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
