"""What the outbox has made in a project, and taking it away when the project does without it.

``migrate outbox zero`` removes tables, triggers and functions. It leaves groups, beat's entries and queues: those are
removed here.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import connections, models, router, transaction

from outbox import registry
from outbox.broker.deletion import QueueDeletion
from outbox.broker.queues import celery_app, queue_name
from outbox.conf import conf
from outbox.errors import BrokerAway, BrokerRefuses, StillInUse
from outbox.maintenance.groups import GROUPS
from outbox.maintenance.removal import host_relations
from outbox.maintenance.schedule import ENTRIES
from outbox.models import ConsumerState, Half, HalfState, Message, TotalStat
from outbox.models.sql.backlog import unfinished_consumers
from outbox.sources import all_sources

UNSETTLED = "outbox_unsettled"
"""The one table that no model has; see ``outbox.models.sql.commit_guard``."""

TRIGGERS = """
SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
WHERE NOT tgisinternal AND relname = ANY(%s) AND pg_table_is_visible(tgrelid) ORDER BY tgname
"""
FUNCTIONS = r"""
SELECT proname FROM pg_proc WHERE proname LIKE 'outbox\_%%' AND pg_function_is_visible(oid) ORDER BY proname
"""


@dataclass(frozen=True, slots=True)
class Group:
    """One of our groups of people; ``is_shared`` if it has permissions of others as well, and so is kept."""

    name: str
    members: int
    is_shared: bool


@dataclass(frozen=True, slots=True)
class FoundQueue:
    """A queue of ours; ``waiting`` is None where the broker did not say whether it is there."""

    name: str
    waiting: int | None = None
    takers: int = 0


@dataclass(frozen=True, slots=True)
class Traces:
    """What is there now: first what ``remove`` removes, then what ``migrate outbox zero`` does."""

    groups: tuple[Group, ...]
    entries: tuple[str, ...]
    """Beat's entries in the tables of django-celery-beat, by name."""
    queues: tuple[FoundQueue, ...]
    trouble: str
    """Why the broker did not say which queues there are; empty if it did."""
    vhost: str
    tables: tuple[str, ...]
    triggers: tuple[str, ...]
    functions: tuple[str, ...]
    foreign_keys: tuple[str, ...]
    """Fields of the host's own models that point to ours."""
    unfinished: int
    exhausted: int


def find_traces() -> Traces:
    """Look at both databases and at the broker; change nothing."""
    tables = _our_tables()
    queues, trouble = _queues(list(_consumer_names(tables)))
    written = Message._meta.db_table in tables
    halves = Half.objects.all() if Half._meta.db_table in tables else Half.objects.none()
    return Traces(
        groups=tuple(_groups()),
        entries=tuple(_entries().values_list("name", flat=True).order_by("name")) if _has_beat_tables() else (),
        queues=tuple(queues),
        trouble=trouble,
        vhost=celery_app().connection_for_write().virtual_host or "/",
        tables=tuple(tables),
        triggers=tuple(_names(TRIGGERS, tables)),
        functions=tuple(_names(FUNCTIONS)),
        foreign_keys=tuple(sorted(_describe_key(relation.field) for relation in host_relations(*_our_models()))),
        unfinished=(Message.objects.unfinished().count() if written else 0)
        + halves.filter(state=HalfState.OPEN).count(),
        exhausted=(Message.objects.exhausted().count() if written else 0)
        + halves.filter(state=HalfState.UNKNOWN).count(),
    )


def remove(traces: Traces, *, discard: bool = False) -> list[str]:
    """Remove the groups, beat's entries and the queues; return the names of the queues that may be left.

    Queues are left where the broker does not answer or refuses. Raises ``StillInUse``, and has changed nothing, while
    workers take from a queue, or, without ``discard``, while messages are unfinished or wait for a person.
    """
    _refuse_while_in_use(traces, discard=discard)
    _remove_entries(traces.entries)
    _remove_groups(traces.groups)
    return list(_delete_queues(traces.queues))


def _refuse_while_in_use(traces: Traces, *, discard: bool) -> None:
    taken = [queue.name for queue in traces.queues if queue.takers]
    if taken:
        raise StillInUse(f"Workers take from {', '.join(taken)}: stop web, workers and beat first.")
    if (traces.unfinished or traces.exhausted) and not discard:
        raise StillInUse(
            f"Messages are unfinished ({traces.unfinished}) or have failed and wait for a person ({traces.exhausted}). "
            "Let them be finished, or give --discard: they then go with the tables."
        )


def _our_models() -> list[type[models.Model]]:
    return list(apps.get_app_config("outbox").get_models())


def _our_tables() -> list[str]:
    """Return which of our tables there are, by name."""
    ours = {UNSETTLED, *(model._meta.db_table for model in _our_models())}
    return sorted(ours & set(connections[conf().database].introspection.table_names()))


def _names(sql: str, *parameters: Any) -> list[str]:
    """Return the names that the catalogue of PostgreSQL gives; on other databases there are none."""
    connection = connections[conf().database]
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return [name for (name,) in cursor.fetchall()]


def _describe_key(field: Any) -> str:
    return f"{field.model._meta.label}.{field.name}"


def _groups() -> Iterator[Group]:
    if not _has_table("auth", "Group"):
        return
    for group in apps.get_model("auth", "Group").objects.filter(name__in=GROUPS).order_by("name"):
        others = group.permissions.exclude(content_type__app_label="outbox")
        yield Group(group.name, members=group.user_set.count(), is_shared=others.exists())


def _remove_groups(groups: Iterable[Group]) -> None:
    if not groups:
        return
    model = apps.get_model("auth", "Group")
    with transaction.atomic(using=router.db_for_write(model)):
        for group in groups:
            if not group.is_shared:
                model.objects.filter(name=group.name).delete()


def _entries() -> Any:
    """Return the entries that call our chores, whoever has made them and whatever they are called."""
    model = apps.get_model("django_celery_beat", "PeriodicTask")
    return model.objects.filter(task__in=[entry.task for entry in ENTRIES])


def _remove_entries(names: Iterable[str]) -> None:
    if names:
        _entries().filter(name__in=names).delete()


def _has_beat_tables() -> bool:
    return apps.is_installed("django_celery_beat") and _has_table("django_celery_beat", "PeriodicTask")


def _has_table(app: str, name: str) -> bool:
    try:
        model = apps.get_model(app, name)
    except LookupError:
        return False
    return model._meta.db_table in connections[router.db_for_read(model)].introspection.table_names()


def _consumer_names(tables: Iterable[str]) -> Iterator[str]:
    """Yield the consumers of the code, and those that only the tables know."""
    known = set(registry.consumer_names())
    for model in (ConsumerState, TotalStat):
        if model._meta.db_table in tables:
            known |= set(model._default_manager.using(conf().database).values_list("consumer", flat=True))
    if Message._meta.db_table in tables:
        known |= set(unfinished_consumers())
    yield from sorted(known)


def _queues(consumers: Iterable[str]) -> tuple[list[FoundQueue], str]:
    """Return our queues, and why the broker did not say which there are: then all that may be there."""
    names = [queue_name(name) for name in ("control", "dead", *consumers)]
    names += [source.queue for source in all_sources() if source.receipts_of is not None and not source.broker]
    found: list[FoundQueue] = []
    with closing(QueueDeletion()) as broker:
        for name in names:
            try:
                look = broker.find(name)
            except BrokerAway as error:
                if not _is_of_queue(error):
                    return [FoundQueue(name) for name in names], str(error)
                found.append(FoundQueue(name))
            else:
                found += [FoundQueue(name, waiting=look.waiting, takers=look.takers)] if look else []
    return found, ""


def _delete_queues(queues: Iterable[FoundQueue]) -> Iterator[str]:
    """Delete the queues and yield the names of those that may be left."""
    is_away = False
    with closing(QueueDeletion()) as broker:
        for queue in queues:
            if is_away:
                yield queue.name
                continue
            try:
                broker.delete(queue.name)
            except BrokerAway as error:
                is_away = not _is_of_queue(error)
                yield queue.name


def _is_of_queue(error: BrokerAway) -> bool:
    """Tell whether the broker refuses one queue only, and may have others for us."""
    return isinstance(error, BrokerRefuses) and bool(error.queue)
