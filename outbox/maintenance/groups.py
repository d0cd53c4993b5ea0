"""Four groups of people to begin with, made once, when our tables are made.

What a host changes in them afterwards stays as it is, and a group that was there before is left alone.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from django.apps import apps as installed
from django.apps.registry import Apps
from django.contrib.auth.management import create_permissions
from django.db import router, transaction
from django.db.migrations import Migration

FIRST = ("outbox", "0001_initial")

VIEWER = [
    "view_message",
    "view_attempt",
    "view_consumerstate",
    "view_heartbeat",
    "view_failuregroup",
    "view_bulkoperation",
    "view_deadletter",
    "view_half",
    "view_quarantined",
    "view_sourcestate",
    "view_bookstate",
    "view_gap",
    "view_watchedstream",
    "view_sequencestream",
]
OPERATOR = [
    *VIEWER,
    "view_payload",
    "retry_message",
    "resolve_message",
    "hurry_message",
    "note_message",
    "save_view",
    "change_failuregroup",
]
LEAD = [
    *OPERATOR,
    "discard_message",
    "discard_deadletter",
    "withdraw_message",
    "replay_message",
    "edit_payload",
    "bulk_message",
    "approve_bulk",
    "export_message",
    "erase_message",
    "pause_consumer",
    "decide_half",
    "view_apitoken",
    "manage_apitoken",
    "settle_quarantined",
    "tend_views",
    "view_audit",
    "close_bookday",
    "explain_difference",
    "close_gap",
    "begin_epoch",
]
AUDITOR = [*VIEWER, "export_message", "view_apitoken", "view_audit"]
GROUPS = {"Outbox viewer": VIEWER, "Outbox operator": OPERATOR, "Outbox lead": LEAD, "Outbox auditor": AUDITOR}
"""The groups with their permissions. Their names begin with ours: a host has operators of its own."""


def make_groups_once(
    *, using: str = "", apps: Apps = installed, plan: Sequence[tuple[Migration, bool]] = (), **_kwargs: Any
) -> None:
    """Make the groups after the ``migrate`` that has made our tables, in the database that has the groups.

    Where a router keeps groups and messages apart, that database notes our migration as done as well.
    """
    if any((step.app_label, step.name) == FIRST and not backwards for step, backwards in plan):
        make_groups(using, apps=apps)


def make_groups(using: str, *, apps: Apps = installed) -> None:
    """Make the groups that are missing and give them their permissions, which Django may not have made yet."""
    try:
        permission, group = apps.get_model("auth", "Permission"), apps.get_model("auth", "Group")
    except LookupError:
        return
    if not (router.allow_migrate_model(using, permission) and router.allow_migrate_model(using, group)):
        return
    create_permissions(installed.get_app_config("outbox"), verbosity=0, using=using, apps=apps)
    for name, codenames in GROUPS.items():
        _make(name, codenames, using=using, permission=permission, group=group)


def _make(name: str, codenames: Iterable[str], *, using: str, permission: Any, group: Any) -> None:
    with transaction.atomic(using=using):
        made, is_new = group.objects.using(using).get_or_create(name=name)
        if is_new:
            wanted = permission.objects.using(using).filter(codename__in=codenames)
            made.permissions.add(*wanted.filter(content_type__app_label="outbox"))
