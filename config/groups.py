"""The outbox's four groups see the business that its messages are about."""

from collections.abc import Sequence
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db import router
from django.db.migrations import Migration

from outbox.maintenance.groups import GROUPS

FIRST = ("awards", "0001_initial")


def let_groups_see_the_business(*, using: str = "", plan: Sequence[tuple[Migration, bool]] = (), **_: Any) -> None:
    """Give the groups ``awards.view_*``, once, after the ``migrate`` that has made the awards' tables.

    What is taken from a group later stays taken.
    """
    if any((step.app_label, step.name) == FIRST and not backwards for step, backwards in plan):
        give_groups_the_views(using)


def give_groups_the_views(using: str) -> None:
    """Add ``awards.view_*`` to each of the groups, in the database that has them."""
    if not router.allow_migrate_model(using, Group):
        return
    seeing = Permission.objects.using(using).filter(content_type__app_label="awards", codename__startswith="view_")
    for group in Group.objects.using(using).filter(name__in=GROUPS):
        group.permissions.add(*seeing)
