"""The contestants there are: Makegood, its peers as they come and tuned, and the plain SQL that none can beat."""

from dataclasses import replace
from pathlib import Path

from benchmarks.contestant import Plan, Service

LEAN = ["--without-gossip", "--without-mingle", "-l", "WARNING"]
COMMAND = ["{python}", "-m", "celery", "-A"]
NO_READY_LINE = ""
"""Nothing to wait for: the process says nothing when it is up."""


def _celery(app: str, name: str, *arguments: str) -> Service:
    # At WARNING a worker says only its banner, so a service's start is seen by that.
    return Service(name, [*COMMAND, app, "worker", "-n", "{node}", *arguments, *LEAN], "[queues]")


def _relay(*arguments: str) -> Service:
    manage = ["{python}", "-m", "django", "celery_outbox_relay"]
    return Service("relay", [*manage, *arguments], NO_READY_LINE)


def _makegood(name: str, *, fan_out: int = 1, bulk: bool = False, processes: int = 2) -> Plan:
    consumers = ["bench.issue_many"] if bulk else [f"bench.issue_{place}" for place in range(fan_out)]
    return Plan(
        name,
        peer="makegood",
        services=[
            _celery("config", "worker", "-P", "prefork", "-c", str(processes), "-X", "{run}.control"),
            _celery("config", "control", "-P", "solo", "-Q", "{run}.control"),
            Service(
                "beat",
                [*COMMAND, "config", "beat", "-l", "INFO", "--pidfile=", "--max-interval", "1"],
                "beat: Starting",
            ),
        ],
        queues=[*consumers, "control", "dead", "tasks"],
        environment={"BENCH_FAN_OUT": str(fan_out), "BENCH_BULK": "1" if bulk else "0"},
    )


def _celery_peer(name: str, peer: str, *, tuned: bool, relay: Service | None = None) -> Plan:
    worker = _celery(f"benchmarks.peers.{peer}.project", "worker", "-P", "prefork", "-c", "2")
    return Plan(
        name,
        peer=peer,
        services=[worker, *([relay] if relay else [])],
        queues=["tasks"],
        environment={"BENCH_TUNED": "1" if tuned else "0"},
    )


def _procrastinate() -> Plan:
    worker = ["{python}", "-m", "django", "procrastinate", "worker", "--concurrency", "4"]
    return Plan(
        "procrastinate",
        peer="procrastinate",
        services=[Service(name, worker, NO_READY_LINE) for name in ("worker-1", "worker-2")],
        environment={"BENCH_TUNED": "1"},
    )


def _makegood_outside(name: str, how: str) -> Plan:
    plan = _makegood(name)
    return replace(plan, queues=[*plan.queues, "bench.order"], environment={**plan.environment, "BENCH_OUTSIDE": how})


def _bare_calls(name: str, how: str) -> Plan:
    loop = ["{python}", "-m", "benchmarks.peers.bare_calls.loop", how]
    services = [Service(f"worker-{place + 1}", [*loop, str(place)], NO_READY_LINE) for place in range(2)]
    return Plan(name, peer="bare_calls", services=services)


def _procrastinate_outside(name: str) -> Plan:
    # One process of a hundred was slower than two of fifty (80 and 135 calls a second at 200 ms).
    worker = ["{python}", "-m", "django", "procrastinate", "worker", "--concurrency", "50"]
    return Plan(
        name,
        peer="procrastinate",
        services=[Service(f"worker-{place + 1}", worker, NO_READY_LINE) for place in range(2)],
        environment={"BENCH_TUNED": "1", "BENCH_OUTSIDE": "async"},
    )


def _celery_outside(name: str, pool: str) -> Plan:
    app = "benchmarks.peers.celery_outside.project"
    # With heartbeats a worker of greenlets waits a tenth of a second behind each task that it receives (Celery 5.7).
    width = ("-P", pool, "-c", "50", "--without-heartbeat")
    services = [_celery(app, f"worker-{place + 1}", *width) for place in range(2)]
    return Plan(name, peer="celery_outside", services=services, queues=["tasks"])


def _plain_sql(name: str, *arguments: str) -> Plan:
    loop = ["{python}", "-m", "benchmarks.peers.plain_sql.loop", *arguments]
    return Plan(
        name,
        peer="makegood",
        services=[Service(loop_name, loop, NO_READY_LINE) for loop_name in ("loop-1", "loop-2")],
        queues=_makegood("").queues,
    )


def _makegood_forwarding(name: str) -> Plan:
    plan = _makegood(name)
    queues = [*plan.queues, "bench.forward", FORWARDED]
    return replace(plan, queues=queues, environment={**plan.environment, "BENCH_FORWARD": FORWARDED})


FORWARDED = "forwarded"
"""The exchange that messages are forwarded to, and the queue that is bound to it, without the prefix."""
MAKEGOOD = _makegood("Makegood")
FORWARDING = _makegood_forwarding("Makegood forwarding")
BULK = _makegood("Makegood bulk", bulk=True)
OUTBOX = _celery_peer("django-celery-outbox", "django_celery_outbox", tuned=False, relay=_relay())
OUTBOX_TUNED = _celery_peer(
    "django-celery-outbox tuned",
    "django_celery_outbox",
    tuned=True,
    relay=_relay("--batch-size", "1000", "--idle-time", "0.05"),
)
OUTBOX_RELAY = replace(OUTBOX_TUNED, name="django-celery-outbox relay", services=OUTBOX_TUNED.services[1:])
"""The tuned relay alone, with publisher confirms: it hands over, and nobody takes."""
PROCRASTINATE = _procrastinate()
CELERY = _celery_peer("bare Celery", "celery", tuned=False)
CELERY_TUNED = _celery_peer("Celery tuned", "celery", tuned=True)
PLAIN_SQL = _plain_sql("plain SQL")
PLAIN_SQL_WITH_ORM = _plain_sql("plain SQL and ORM", "orm")
"""The same work by the same ORM call with nothing around it but SQL: what the handler itself leaves possible."""
MAKEGOOD_ASYNC = _makegood_outside("Makegood async", "async")
MAKEGOOD_THREADS = _makegood_outside("Makegood threads", "threads")
BARE_ASYNC = _bare_calls("bare asyncio loop", "async")
BARE_THREADS = _bare_calls("bare thread pool", "threads")
PROCRASTINATE_ASYNC = _procrastinate_outside("procrastinate async")
CELERY_THREADS = _celery_outside("Celery threads", "threads")
CELERY_GEVENT = _celery_outside("Celery gevent", "gevent")


def makegood_at(commit: str, folder: Path) -> Plan:
    """Return Makegood as it was at a commit that is checked out in ``folder``."""
    return replace(MAKEGOOD, name=f"{MAKEGOOD.name} at {commit[:7]}", folder=folder)


def ordered_by(keys: int, *, processes: int = 2) -> Plan:
    """Return Makegood with messages of so many ordering keys (0: unordered) and a worker of so many processes."""
    name = f"{keys or 'no'} key{'s' * (keys != 1)}{', one process' if processes == 1 else ''}"
    plan = _makegood(name, processes=processes)
    return replace(plan, environment={**plan.environment, "BENCH_KEYS": str(keys)})


def fanned_out(consumers: int) -> Plan:
    """Return Makegood with so many consumers of one topic."""
    return _makegood(f"{consumers} consumer{'s' * (consumers > 1)}", fan_out=consumers)
