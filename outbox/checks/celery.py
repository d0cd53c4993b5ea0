"""The host's Celery app: what the engine's queues, hints and chores need of it."""

from collections.abc import Mapping
from typing import Any

from celery import __version__ as celery_version
from celery.app.defaults import DEFAULTS
from django.apps import apps
from django.conf import settings
from django.core.checks import Error, Info, Warning

from outbox import registry
from outbox.broker import queues
from outbox.checks.database import CheckMessages
from outbox.conf import Conf, conf
from outbox.maintenance import schedule
from outbox.worker.integration import FILES, NEEDED, QUEUES_OF_CELERY, REUSE

LONGEST_CHORE = 60.0
"""Seconds that pruning may take with its rests; Celery's own limit must not be shorter."""
RABBITMQ = frozenset({"amqp", "amqps", "pyamqp"})
OUR_TASKS = frozenset({queues.DELIVER_TASK, *(entry.task for entry in schedule.ENTRIES)})
THREADS = frozenset({"threads", "gevent", "eventlet"})
"""Pools of a worker whose tasks share one process, and so its pool of connections."""
PSYCOPG_POOL = 4
"""Connections in a pool of psycopg's that is given no size."""
PICKLE = frozenset({"pickle", "application/x-python-serialize"})
JSON = frozenset({"json", "application/json"})
POSITIVE = frozenset({"broker_heartbeat", "worker_soft_shutdown_timeout"})
"""Needed settings of which any positive value will do."""

WHY_NEEDED = {
    "broker_heartbeat": "a connection that broke unnoticed is never made anew",
    "broker_connection_max_retries": "a worker gives up, and ends, when the broker is away for long",
    "broker_connection_retry_on_startup": "a worker that is started while the broker is away ends",
    "broker_channel_error_retry": "a worker ends when it meets its own half-open connection again",
    "worker_cancel_long_running_tasks_on_connection_loss": "handlers that run are killed when the broker is cut off",
    "worker_soft_shutdown_timeout": "a worker that is told to stop cuts off the handlers that run",
    REUSE: "every task opens a database connection of its own: 146 tasks/s instead of 629",
}


def check_celery() -> CheckMessages:
    """Yield what is unsafe anywhere."""
    yield from _settings()
    yield from _content()
    yield from _transport()
    yield from _chores()
    yield from _pool()


def check_deployed_celery() -> CheckMessages:
    """Yield what is unsafe where it is run for real."""
    app = queues.celery_app()
    if _scheme(app.conf) in (FILES, "memory"):
        yield Warning(
            "The broker is for trying out and for tests: it lives in one machine, or in one process.",
            hint="Use RabbitMQ (amqp://).",
            id="outbox.W023",
        )
    if app.conf.task_always_eager:
        yield Warning(
            "task_always_eager runs your tasks inside the request; the outbox's hints go to workers all the same.",
            hint="Set it in the settings of your tests only.",
            id="outbox.W022",
        )
    if not (app.conf.broker_url or app.conf.broker_write_url):
        yield Warning(
            "No broker address is set, so Celery takes a RabbitMQ on this machine, as guest.",
            hint="Set Celery's broker_url, or CELERY_BROKER_URL in the environment.",
            id="outbox.W029",
        )
    pool, limited = str(app.conf.worker_pool), [entry.name for entry in registry.all_consumers() if entry.atomic]
    if pool != "prefork" and limited:
        yield Warning(
            f"In a worker with worker_pool={pool!r} nobody breaks off a handler that hangs outside the database: "
            f"{', '.join(limited)}.",
            hint="Use processes (prefork), or give a timeout to everything that a handler calls.",
            id="outbox.W040",
        )
    if conf().prefix == Conf.__dataclass_fields__["prefix"].default:
        yield Info(
            f'OUTBOX["PREFIX"] is {conf().prefix!r}, as everywhere where nobody has set it.',
            hint="Give each installation that shares a broker a prefix of its own, or they take each other's hints.",
            id="outbox.I001",
        )


def _settings() -> CheckMessages:
    given = queues.celery_app().conf
    for name, why in WHY_NEEDED.items():
        value, needed = given.get(name), NEEDED.get(name)
        if name in NEEDED and name not in DEFAULTS:
            yield Warning(
                f"Celery {celery_version} does not know {name}; so {why}.",
                hint="Use Celery 5.5 or newer.",
                id="outbox.W003",
            )
        elif not value if name in POSITIVE or name == REUSE else value != needed:
            yield Warning(
                f"The Celery setting {name} is {value!r}; so {why}.",
                hint="Remove your own value; outbox.configure() sets what is needed.",
                id="outbox.W003",
            )
    if _scheme(given) in RABBITMQ:
        yield from _queues_of_celery(given)


def _queues_of_celery(given: Any) -> CheckMessages:
    """Look at the queues that Celery makes for itself: RabbitMQ 4.3 takes durable ones and exclusive ones."""
    for durable, exclusive in [(f"{kind}_queue_durable", f"{kind}_queue_exclusive") for kind in QUEUES_OF_CELERY]:
        if not {durable, exclusive} <= DEFAULTS.keys():
            yield Warning(
                f"Celery {celery_version} does not know {durable}; so RabbitMQ 4.3 refuses the queue (541), and no "
                "worker becomes ready.",
                hint="Use Celery 5.6 or newer, or stay with an older RabbitMQ.",
                id="outbox.W003",
            )
        elif bool(given.get(durable)) == bool(given.get(exclusive)):
            why = "Celery refuses both" if given.get(durable) else "RabbitMQ 4.3 refuses the queue (541)"
            yield Warning(
                f"The Celery settings {durable} and {exclusive} are both {given.get(durable)!r}; so {why}, and no "
                "worker becomes ready.",
                hint="Remove your own values; outbox.configure() makes the queue durable.",
                id="outbox.W003",
            )


def _content() -> CheckMessages:
    given = queues.celery_app().conf
    accepted = {str(kind) for kind in given.accept_content}
    if not accepted & JSON:
        yield Error(
            "The workers do not accept JSON, so they would drop every hint.",
            hint='Add "json" to Celery\'s accept_content.',
            id="outbox.E004",
        )
    if accepted & PICKLE:
        yield Warning(
            "The workers accept pickle: whoever can write to a queue of yours can run any code.",
            hint='Take "pickle" out of Celery\'s accept_content. The outbox needs JSON only.',
            id="outbox.W011",
        )
    if given.task_reject_on_worker_lost and given.get("task_default_queue_type") != "quorum":
        yield Warning(
            "A task of yours that kills its worker comes back from a classic queue for ever, and kills the next one.",
            hint="Take task_reject_on_worker_lost back (our tasks have it of their own), or use quorum queues.",
            id="outbox.W012",
        )


def _transport() -> CheckMessages:
    given = queues.celery_app().conf
    transport = _scheme(given)
    if transport not in RABBITMQ | {FILES, "memory"}:
        yield Error(
            f"{transport} is not offered as a broker: after a crash or a reconnect it delivers late, or twice, or not.",
            hint="Use RabbitMQ (amqp://).",
            id="outbox.E005",
        )


def _chores() -> CheckMessages:
    """Look at what would stop, or slow down, the engine's own tasks."""
    given = queues.celery_app().conf
    longest = max((entry.time_limit.total_seconds() for entry in registry.all_consumers()), default=30.0)
    if given.task_soft_time_limit and given.task_soft_time_limit < longest:
        yield Warning(
            f"task_soft_time_limit ({given.task_soft_time_limit} s) strikes anywhere in a hint, which may take "
            f"{longest:.0f} s by its consumers' timeouts.",
            hint="Give soft limits to your own tasks, one by one, instead of to all.",
            id="outbox.W014",
        )
    if given.task_time_limit and given.task_time_limit < LONGEST_CHORE:
        yield Warning(
            f"task_time_limit ({given.task_time_limit} s) kills the process that prunes or rescans.",
            hint=f"Make it {LONGEST_CHORE:.0f} s or more, or give limits to your own tasks, one by one.",
            id="outbox.W015",
        )
    if given.task_default_rate_limit:
        yield Warning(
            f"task_default_rate_limit ({given.task_default_rate_limit}) holds up the outbox's hints as well.",
            hint="Give rate limits to your own tasks, one by one, instead of to all.",
            id="outbox.W016",
        )
    if limited := sorted(name for name in OUR_TASKS if _rate_limit(given.task_annotations, name)):
        yield Warning(
            f"task_annotations give a rate limit to {', '.join(limited)}.",
            hint="Give rate limits to your own tasks by name; the outbox's are called as often as they must be.",
            id="outbox.W027",
        )
    routed = queues.celery_app().amqp.router
    if strayed := sorted(name for name in OUR_TASKS if {"exchange", "routing_key"} & _route(routed, name).keys()):
        yield Warning(
            f"task_routes send {', '.join(strayed)} somewhere else than to the outbox's own queues.",
            hint='Name your own tasks in task_routes, one by one or as in "orders.*", instead of "*".',
            id="outbox.W028",
        )
    if (
        apps.is_installed("django_celery_beat")
        and not settings.USE_TZ
        and getattr(settings, "DJANGO_CELERY_BEAT_TZ_AWARE", True)
    ):
        yield Warning(
            "With USE_TZ = False beat reads the times that it has saved itself as UTC, east of Greenwich as hours "
            "ahead, and calls nothing until then; on SQLite it cannot even save them.",
            hint="Set DJANGO_CELERY_BEAT_TZ_AWARE = False.",
            id="outbox.W047",
        )
    if apps.is_installed("django_celery_beat") and _beat_calls(given):
        yield Warning(
            f"Every start of beat sets {', '.join(_beat_calls(given))} back to what beat_schedule says.",
            hint="Take it out of beat_schedule: migrate has made the entry, and operators change it in the admin.",
            id="outbox.W017",
        )


def _rate_limit(annotations: Any, name: str) -> bool:
    """Tell whether the host's annotations, where they are plain dicts, limit the task."""
    maps = annotations if isinstance(annotations, list | tuple) else [annotations]
    plain = [each for each in maps if isinstance(each, Mapping)]
    return any((each.get(pattern) or {}).get("rate_limit") for each in plain for pattern in ("*", name))


def _route(router: Any, name: str) -> Mapping[str, Any]:
    """Return where the host's ``task_routes`` send the task. A queue alone does no harm: each call names ours."""
    found = router.lookup_route(name, (), {}, {}, None) if router.routes else None
    return found if isinstance(found, Mapping) else {}


def _pool() -> CheckMessages:
    """Look whether threads find as many connections as there are of them, where the settings say both."""
    given, alias = queues.celery_app().conf, conf().database
    pool = (settings.DATABASES.get(alias, {}).get("OPTIONS") or {}).get("pool")
    if not pool or str(given.worker_pool) not in THREADS or not given.worker_concurrency:
        return
    asked = pool if isinstance(pool, Mapping) else {}
    most = asked.get("max_size") or asked.get("min_size", PSYCOPG_POOL)
    if most < given.worker_concurrency:
        yield Warning(
            f"{given.worker_concurrency} threads of a worker share {most} database connections, so some wait until "
            "they fail.",
            hint=f'Make DATABASES["{alias}"]["OPTIONS"]["pool"]["max_size"] as large as worker_concurrency, and '
            "PostgreSQL's max_connections larger than all processes need together.",
            id="outbox.W030",
        )


def _scheme(given: Any) -> str:
    """Return the kind of broker, read from its address without loading what it is reached by."""
    address = given.broker_write_url or "amqp://"
    first = str(address if isinstance(address, str) else address[0]).partition(";")[0]
    return str(given.broker_transport or first.partition("://")[0])


def _beat_calls(given: Any) -> list[str]:
    """Return which of our tasks the host's own ``beat_schedule`` calls."""
    schedule: Mapping[str, Mapping[str, Any]] = given.beat_schedule or {}
    return sorted({task for entry in schedule.values() if (task := str(entry.get("task"))).startswith("outbox.")})
