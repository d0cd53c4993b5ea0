"""The work queue's tabs: which index each walks, in which order, and what it keeps of the rows it meets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import NamedTuple

from django.db.models import Q
from django.db.models.functions import Now
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from outbox.admin.keyset import turn
from outbox.models import FailureGroup, Message, Resolution, Status
from outbox.models.queryset import MessageQuerySet
from outbox.models.sql.backlog import unfinished_consumers

NEWER, OLDER = _("Newer"), _("Older")
BY_AGE = _("Newest first"), _("Oldest first")
ERROR_PART_LENGTH = 200
"""Characters of an error that one can look for."""
BY_DUE = _("Due soonest first"), _("Due last first")


@dataclass(frozen=True, slots=True)
class Scope:
    """What the queue is narrowed down to: one consumer, and of its failures one group.

    ``failures`` are the fingerprints of that group, its own before those of what is merged into it.

    ``waiting`` are the consumers that have anything unfinished, for whoever knows them already. ``within`` is how far
    back is looked, by the moment that matters in a tab. ``owner`` is who sees to the messages, ``error`` a part of what
    their last error says.
    """

    consumer: str = ""
    failures: tuple[str, ...] = ()
    waiting: Sequence[str] | None = None
    within: timedelta | None = None
    owner: str = ""
    error: str = ""

    @property
    def is_narrowed(self) -> bool:
        """Tell whether fewer are shown than a consumer, or a group of failures, has."""
        return bool(self.within or self.owner or self.error)

    @property
    def failure(self) -> str:
        """The fingerprint by which the group is known; empty for none."""
        return self.failures[0] if self.failures else ""


EVERYTHING = Scope()


class FoundGroup(NamedTuple):
    """A failure group, and the fingerprints of it and of what is merged into it."""

    root: FailureGroup
    fingerprints: tuple[str, ...]


Streams = Callable[[Scope], list[MessageQuerySet]]


@dataclass(frozen=True, slots=True)
class Tab:
    """One view of the queue."""

    slug: str
    label: Promise
    empty: Promise
    order: tuple[str, ...]
    streams: Streams
    among: Q
    knows_consumer: bool = False
    newer: Promise = NEWER
    older: Promise = OLDER
    orders: tuple[Promise, Promise] = BY_AGE
    """What its order is called, and what the same turned round."""
    moment: str = "finished_at"
    """What a span back is counted from, and what the age of a row is."""

    @property
    def turned(self) -> "Tab":
        """The same from its other end."""
        order = tuple(turn(name) for name in self.order)
        return replace(self, order=order, newer=self.older, older=self.newer)

    def rows(self, scope: Scope) -> list[MessageQuerySet]:
        """Return the streams of what is looked at. Of one owner they are few, and found by the owner's index."""
        streams = self.streams(scope)
        return [stream.filter(note__owner=scope.owner) for stream in streams] if scope.owner else streams

    def kept(self, scope: Scope) -> Q:
        """Return what is kept of the rows met; the consumer is part of it where the index does not lead with it."""
        ours = scope.consumer and not self.knows_consumer
        lately = Q(**{f"{self.moment}__gte": Now() - scope.within}) if scope.within else Q()
        said = Q(last_error__icontains=scope.error) if scope.error else Q()
        return self.among & (Q(consumer=scope.consumer) if ours else Q()) & lately & said


def stuck(scope: Scope) -> list[MessageQuerySet]:
    """Return what waits for a person; a group of failures belongs to one consumer, and the index leads with that."""
    rows = Message.objects.exhausted()
    if scope.failures:
        return [rows.filter(consumer=scope.consumer, failure=each) for each in scope.failures]
    return [rows.filter(consumer=scope.consumer) if scope.consumer else rows]


def _waiting(scope: Scope) -> list[MessageQuerySet]:
    """Walk the index of the unfinished, which leads with the consumer: one stream for each that has any."""
    names = [scope.consumer] if scope.consumer else scope.waiting
    names = unfinished_consumers() if names is None else names
    return [Message.objects.unfinished().filter(consumer=name) for name in names]


def _finished(_scope: Scope) -> list[MessageQuerySet]:
    return [Message.objects.filter(finished_at__isnull=False, exhausted_at__isnull=True)]


def _closed(resolution: Resolution) -> Streams:
    return lambda _scope: [Message.objects.filter(resolution=resolution)]


def _everything(_scope: Scope) -> list[MessageQuerySet]:
    return [Message.objects.all()]


TABS = [
    Tab(
        "failed",
        _("Failed, unresolved"),
        _("Nothing waits for a person: every message the machine gave up on has been dealt with."),
        ("-id",),
        stuck,
        Q(),
        knows_consumer=True,
        moment="exhausted_at",
    ),
    Tab(
        "pending",
        _("Pending"),
        _("Nothing is waiting: every message has been taken up."),
        ("due_at", "id"),
        _waiting,
        Q(status=Status.PENDING),
        knows_consumer=True,
        moment="created_at",
        newer=_("Due sooner"),
        older=_("Due later"),
        orders=BY_DUE,
    ),
    Tab(
        "started",
        _("Started"),
        _("No worker is busy at this moment. Messages are often started only for some milliseconds."),
        ("due_at", "id"),
        _waiting,
        Q(status=Status.STARTED),
        knows_consumer=True,
        moment="created_at",
        newer=_("Due sooner"),
        older=_("Due later"),
        orders=BY_DUE,
    ),
    Tab(
        "success",
        _("Success"),
        _("The machine has finished no message yet, or they have been removed in time."),
        ("-finished_at", "-id"),
        _finished,
        Q(status=Status.SUCCESS, resolution=""),
    ),
    Tab(
        "handled",
        _("Handled by hand"),
        _("Nobody has marked a message as handled."),
        ("-id",),
        _closed(Resolution.HANDLED),
        Q(),
    ),
    Tab(
        "discarded", _("Discarded"), _("Nobody has discarded a message."), ("-id",), _closed(Resolution.DISCARDED), Q()
    ),
    Tab(
        "overdue",
        _("Overdue"),
        _("No message was closed because its time was over before it was ever called."),
        ("-id",),
        _closed(Resolution.OVERDUE),
        Q(),
    ),
    Tab("withdrawn", _("Withdrawn"), _("No message was taken back."), ("-id",), _closed(Resolution.WITHDRAWN), Q()),
    Tab("all", _("All"), _("There are no messages yet."), ("-id",), _everything, Q(), moment="created_at"),
]


FAILED = TABS[0]
"""What waits for a person: what the queue opens on. Failure groups narrow down this tab alone."""


def find_tab(slug: str, *, turned: bool = False) -> Tab:
    """Return the tab of that name, or the one the queue opens on; ``turned`` it is read from its other end."""
    tab = next((tab for tab in TABS if tab.slug == slug), FAILED)
    return tab.turned if turned else tab


def find_group(fingerprint: str) -> FoundGroup | None:
    """Return a failure group with what is merged into it; of one that is merged itself, that one alone."""
    if not fingerprint or "\0" in fingerprint:
        return None
    groups = {group.pk: group for group in FailureGroup.objects.with_members(fingerprint)}
    root = groups.pop(fingerprint, None)
    return None if root is None else FoundGroup(root, (root.pk, *groups))


def scope_of(tab: Tab, consumer: str, group: FoundGroup | None) -> Scope:
    """Return what a tab is narrowed down to; a group of failures knows its consumer."""
    if group is not None and tab.slug == FAILED.slug:
        return Scope(group.root.consumer, group.fingerprints)
    return Scope(consumer)
