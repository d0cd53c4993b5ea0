"""The four groups, and what each may do."""

from importlib import import_module

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command

from outbox.maintenance.groups import GROUPS, make_groups, make_groups_once

pytestmark = pytest.mark.django_db

FIRST = import_module("outbox.migrations.0001_initial").Migration("0001_initial", "outbox")


class EngineElsewhere:
    """A strict router: the outbox's tables are on another database, and nothing else is there."""

    def allow_migrate(self, db, app_label, **_hints):
        return (app_label == "outbox") == (db == "engine")


@pytest.fixture
def no_groups(db):
    Group.objects.filter(name__in=GROUPS).delete()


def permissions_of(name):
    ours = Permission.objects.filter(content_type__app_label="outbox")
    return set(ours.filter(group__name=name).values_list("codename", flat=True))


def test_four_groups_stand_ready_each_with_its_permissions() -> None:
    make_groups("default")

    found = {name: permissions_of(name) for name in GROUPS}
    assert found == {name: set(codenames) for name, codenames in GROUPS.items()}
    assert not {"retry_message", "change_failuregroup"} & (found["Outbox viewer"] | found["Outbox auditor"])
    assert not {"discard_message", "pause_consumer"} & found["Outbox operator"]


def test_a_group_that_was_there_before_gains_nothing(no_groups) -> None:
    Group.objects.create(name="Operator")
    Group.objects.create(name="Outbox operator")

    make_groups_once(using="default", plan=[(FIRST, False)])

    assert (permissions_of("Operator"), permissions_of("Outbox operator")) == (set(), set())
    assert permissions_of("Outbox viewer") == set(GROUPS["Outbox viewer"])


def test_a_strict_router_has_the_groups_where_the_people_are(no_groups, settings) -> None:
    settings.DATABASE_ROUTERS = [EngineElsewhere()]

    make_groups_once(using="default", plan=[(FIRST, False)])

    assert permissions_of("Outbox lead") == set(GROUPS["Outbox lead"])


def test_what_a_host_took_from_a_group_stays_taken_when_it_migrates() -> None:
    """The groups are made once, with the tables, and not after every migrate."""
    make_groups("default")
    Group.objects.filter(name="Outbox auditor").delete()

    call_command("migrate", verbosity=0)

    assert not Group.objects.filter(name="Outbox auditor").exists()
