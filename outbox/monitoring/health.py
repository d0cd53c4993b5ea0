"""Is everything in order, and if not, what must a person do? Measured now, within a tenth of a second.

Whatever the size of the message table, only its partial indexes are read: unfinished and exhausted rows, at most
10,001 of each consumer. Ages are computed by the database. On SQLite there are no sessions to look at.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, NamedTuple

from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Case, DurationField, ExpressionWrapper, F, Q, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from outbox import registry
from outbox.conf import conf
from outbox.memory import Memory
from outbox.models import ConsumerState, Heartbeat, Message, MinuteStat, Places
from outbox.models.sql import held_keys
from outbox.models.sql.backlog import measure_backlogs
from outbox.models.state import FUTURE
from outbox.monitoring import causes
from outbox.monitoring.findings import Finding, Level, evaluate, in_words, switched_off_sentence, worst
from outbox.monitoring.measurements import BURST, CAP, ConsumerMeasurements, HeldKey, Measurements, Session
from outbox.monitoring.planned import read_plans
from outbox.policy import ZERO

RESCAN = "rescan"
COVER = "rescan by a worker"
"""The turns at a rescan that workers take when nobody else has done it."""
MAINTENANCE_JOBS = ("prune", "rollup", "alerts")
"""The chores whose heartbeat is watched beside the rescan's."""

SNAPSHOTS = """
SELECT pid, concat_ws(', ', usename, nullif(application_name, ''), host(client_addr)),
       extract(epoch FROM clock_timestamp() - xact_start), greatest(age(backend_xmin), age(backend_xid))
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
    AND xact_start IS NOT NULL AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)
ORDER BY xact_start LIMIT 1
"""
IDLE = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND state LIKE 'idle in transaction%%'
    AND state_change < clock_timestamp() - %s * interval '1 second'
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
    age, plan = _heartbeats().get(RESCAN, NEVER).age, read_plans(with_who=True)[RESCAN]
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


def measure() -> Measurements:
    """Read everything that is judged, in some dozen small statements."""
    heartbeats = _heartbeats()
    rescan, plans = heartbeats.get(RESCAN, NEVER), read_plans(with_who=True)
    limit = conf().rescan_limit + plans[RESCAN].later
    covered = heartbeats.get(COVER, NEVER).age
    covered = None if covered is None or covered > limit else covered
    is_looked_at = rescan.age is None or rescan.age > limit or covered is not None
    consumers = tuple(_measure_consumers())
    sessions_seen = connections[conf().database].vendor == "postgresql"
    return Measurements(
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
        sessions_seen=sessions_seen,
        snapshot=_oldest_snapshot() if sessions_seen else None,
        idle=_idle_sessions() if sessions_seen else 0,
    )


class _Heartbeat(NamedTuple):
    age: timedelta | None
    known_for: timedelta
    data: Mapping[str, Any]


NEVER = _Heartbeat(None, ZERO, {})


def _heartbeats() -> dict[str, _Heartbeat]:
    heartbeats = Heartbeat.objects.filter(name__in=[RESCAN, COVER, *MAINTENANCE_JOBS])
    beats = heartbeats.annotate(age=_ago(F("at")), known_for=_ago(F("since")))
    return {
        # What lies in the future was written before the clock was set back, and proves nothing.
        name: _Heartbeat(None if age < -FUTURE else age, known_for, data)
        for name, age, known_for, data in beats.values_list("name", "age", "known_for", "data")
    }


def _ago(moment: Combinable) -> Combinable:
    """Return how long ago ``moment`` was on the database's clock."""
    return ExpressionWrapper(Now() - moment, output_field=DurationField())


def _measure_consumers() -> Iterator[ConsumerMeasurements]:
    states = {state.consumer: state for state in _states()}
    fresh = Message.objects.exhausted().filter(exhausted_at__gte=Now() - BURST).order_by("exhausted_at")
    burst = Counter(fresh.values_list("consumer", flat=True)[:CAP])
    ended = {row["consumer"]: row for row in MinuteStat.objects.within(BURST).per_consumer()}
    known = {entry.name for entry in registry.all_consumers()}
    wide = any(entry.wide for entry in registry.all_consumers())
    places = Places.objects.per_consumer() if wide else {}
    held = _held_keys()
    for name, depth in measure_backlogs(known, cap=CAP).items():
        yield ConsumerMeasurements(
            name=name,
            in_code=name in known,
            new_exhausted=burst[name],
            **depth._asdict(),
            **(_ended(ended[name]) if name in ended else {}),
            **(_hold_of(states[name]) if name in states else {}),
            **places.get(name, {}),
            **held.get(name, {}),
        )


def _held_keys() -> dict[str, dict[str, Any]]:
    """Return, by consumer, the key that a failed message has held for longest, and how many are held."""
    by_consumer: dict[str, list[held_keys.HeldKey]] = defaultdict(list)
    for found in held_keys.held_keys():
        by_consumer[found.order.consumer].append(found)
    return {
        name: {
            "held": HeldKey(
                first.order.ordering_key,
                first.head,
                first.held_for,
                held_keys.count_behind(first.order, first.head, cap=CAP),
            ),
            "held_keys": len(found),
        }
        for name, found in by_consumer.items()
        for first in found[:1]
    }


def _ended(row: Mapping[str, Any]) -> dict[str, Any]:
    """Count how the last attempts ended; what was not ready or found the world down has not failed."""
    return {"succeeded": row["successes"], "failed_attempts": row["failed"] + row["rejected"] + row["lost"]}


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


def _oldest_snapshot() -> Session | None:
    """Return the session whose snapshot keeps vacuum back the longest; those of other roles need ``pg_monitor``."""
    with connections[conf().database].cursor() as cursor:
        cursor.execute(SNAPSHOTS)
        row = cursor.fetchone()
    if row is None:
        return None
    pid, who, seconds, transactions = row
    return Session(pid, who, timedelta(seconds=float(seconds)), transactions)


def _idle_sessions() -> int:
    with connections[conf().database].cursor() as cursor:
        cursor.execute(IDLE, [conf().idle_warning.total_seconds()])
        (sessions,) = cursor.fetchone()
    return int(sessions)


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return round(value.total_seconds(), 3)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
