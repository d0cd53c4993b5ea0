"""The four groups, and what each may do."""

from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import connection

pytestmark = pytest.mark.django_db


def test_four_groups_stand_ready_each_with_its_permissions() -> None:
    migration = import_module("outbox.migrations.0003_groups")

    migration.make_groups(apps, SimpleNamespace(connection=connection))

    found = {group.name: set(group.permissions.values_list("codename", flat=True)) for group in Group.objects.all()}
    assert found == {name: set(codenames) for name, codenames in migration.GROUPS.items()}
    assert "retry_message" not in found["Viewer"] | found["Auditor"]
    assert "discard_message" not in found["Operator"]


def test_what_a_host_took_from_a_group_stays_taken_when_it_migrates() -> None:
    """The groups are made once, by a migration, and not after every migrate."""
    Group.objects.filter(name="Auditor").delete()

    call_command("migrate", verbosity=0)

    assert not Group.objects.filter(name="Auditor").exists()
