"""The four groups, and what each may do."""

from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db import connection

pytestmark = pytest.mark.django_db


def test_four_groups_stand_ready_each_with_its_permissions() -> None:
    initial = import_module("outbox.migrations.0001_initial")

    initial.make_groups(apps, SimpleNamespace(connection=connection))

    ours = Permission.objects.filter(content_type__app_label="outbox")
    found = {name: set(ours.filter(group__name=name).values_list("codename", flat=True)) for name in initial.GROUPS}
    assert found == {name: set(codenames) for name, codenames in initial.GROUPS.items()}
    assert not {"retry_message", "change_failuregroup"} & (found["Viewer"] | found["Auditor"])
    assert not {"discard_message", "pause_consumer"} & found["Operator"]


def test_what_a_host_took_from_a_group_stays_taken_when_it_migrates() -> None:
    """The groups are made once, by a migration, and not after every migrate."""
    Group.objects.filter(name="Auditor").delete()

    call_command("migrate", verbosity=0)

    assert not Group.objects.filter(name="Auditor").exists()
