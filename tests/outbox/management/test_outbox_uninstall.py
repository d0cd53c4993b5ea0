"""``manage.py outbox_uninstall``: what is there, what is removed, and when it refuses."""

from io import StringIO
from unittest import mock

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection

from outbox.broker.deletion import QueueDeletion
from outbox.broker.queues import celery_app, dead_letter_queue, hint_queue, queue_name
from outbox.errors import BrokerRefuses
from outbox.maintenance.groups import GROUPS, make_groups
from outbox.maintenance.schedule import ENTRIES, ensure_entries
from outbox.models import Message, TotalStat
from tests.harness.beat import BEAT_TABLES, needs_beat_tables
from tests.harness.rows import BOOK, sales, set_consumer

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _installed(db):
    """Have what our own tables bring along: groups without the permissions that this project adds to them."""
    Group.objects.filter(name__in=GROUPS).delete()
    make_groups("default")
    ensure_entries()


@pytest.fixture
def queue():
    """Return the channel and the queue of one of our consumers, as a worker has made it."""
    with celery_app().connection_for_write() as broker:
        made = hint_queue(BOOK)(broker.channel())
        made.declare()
        made.purge()
        yield made
        with celery_app().connection_for_write() as another:
            another.channel().queue_delete(made.name)


@pytest.fixture
def no_broker(broker_at, monkeypatch):
    """Have the broker be an address where nobody answers."""
    monkeypatch.setitem(celery_app().conf, "broker_write_url", "amqp://guest:guest@127.0.0.1:1//")


def run(*args):
    """Run the command and return what it printed."""
    out = StringIO()
    call_command("outbox_uninstall", *args, stdout=out, no_color=True)
    return out.getvalue()


def lines(printed, kind):
    """Return what was printed of one kind, without it."""
    return [line.strip().removeprefix(kind).strip() for line in printed.splitlines() if line.startswith(f"  {kind} ")]


def entries():
    """Return the names of beat's entries that call our chores."""
    tasks = apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(task__in=[e.task for e in ENTRIES])
    return sorted(tasks.values_list("name", flat=True))


def is_there(queue):
    with celery_app().connection_for_write() as broker:
        try:
            broker.channel().queue_declare(queue.name, passive=True)
        except broker.channel_errors:
            return False
        return True


def test_it_shows_what_is_there_and_changes_nothing(queue):
    User.objects.create(username="ada").groups.add(Group.objects.get(name="Outbox lead"))

    printed = run()

    assert lines(printed, "group") == [
        "Outbox auditor (members: 0)",
        "Outbox lead (members: 1)",
        "Outbox operator (members: 0)",
        "Outbox viewer (members: 0)",
    ]
    assert f"{queue.name} (hints: 0)" in lines(printed, "queue")
    assert {"outbox_message", "outbox_auditentry"} <= set(lines(printed, "table"))
    assert printed.endswith("Nothing was changed.\n")
    assert Group.objects.filter(name__in=GROUPS).count() == len(GROUPS)
    assert is_there(queue)


@pytest.mark.services
def test_on_postgresql_it_shows_triggers_and_functions():
    printed = run()

    assert lines(printed, "trigger") == ["outbox_auditentry_append_only", "outbox_unsettled_refuse_commit"]
    assert lines(printed, "function") == [
        "outbox_refuse_audit_change",
        "outbox_refuse_commit",
        "outbox_take_turn",
    ]
    assert "outbox_unsettled" in lines(printed, "table")


@needs_beat_tables
def test_it_removes_beat_s_entries_that_call_our_chores_and_no_others():
    model = apps.get_model("django_celery_beat", "PeriodicTask")
    rescan = model.objects.get(task="outbox.rescan")
    model.objects.create(name="ours as well", task="outbox.prune", interval=rescan.interval)
    model.objects.create(name="the host's", task="orders.count", interval=rescan.interval)

    shown = lines(run(), "beat's entry")
    run("--yes")

    assert shown == ["ours as well", *sorted(entry.name for entry in ENTRIES)]
    assert entries() == []
    assert model.objects.filter(name="the host's").exists()


def test_it_removes_groups_and_queues_and_says_what_to_do_next(queue):
    printed = run("--yes")

    removed = f"Removed: 4 groups, {len(ENTRIES) if BEAT_TABLES else 0} of beat's entries, "
    assert printed.startswith(removed)
    assert not Group.objects.filter(name__in=GROUPS).exists()
    assert not is_there(queue)
    assert printed.index("migrate outbox zero") < printed.index("INSTALLED_APPS") < printed.index("stale_contenttypes")


def test_a_group_that_has_permissions_of_other_apps_is_kept_and_named():
    Group.objects.get(name="Outbox lead").permissions.add(Permission.objects.get(codename="add_user"))

    printed = run("--yes")

    assert list(Group.objects.filter(name__in=GROUPS).values_list("name", flat=True)) == ["Outbox lead"]
    assert "Kept: the group Outbox lead, as it has permissions of other apps." in printed


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (sales.pending, r"unfinished \(1\) or have failed and wait for a person \(0\)"),
        (sales.started, r"unfinished \(1\) or have failed and wait for a person \(0\)"),
        (sales.failed, r"unfinished \(0\) or have failed and wait for a person \(1\)"),
    ],
)
def test_it_refuses_while_a_message_is_unfinished_or_waits_for_a_person(queue, write, said):
    write()

    with pytest.raises(CommandError, match=f"{said}.*--discard.*Nothing was changed"):
        run("--yes")

    assert Group.objects.filter(name__in=GROUPS).count() == len(GROUPS)
    assert is_there(queue)


def test_settled_messages_keep_nobody_from_it():
    sales.success()
    sales.handled()
    sales.discarded()

    assert "Removed" in run("--yes")


def test_told_to_discard_it_removes_all_the_same_and_leaves_the_messages_to_migrate():
    sales.pending()

    shown = run()
    printed = run("--yes", "--discard")

    assert "Messages that would be lost: unfinished 1, failed and waiting for a person 0." in shown
    assert "Removed" in printed
    assert Message.objects.count() == 1


def test_discard_alone_changes_nothing():
    sales.pending()

    printed = run("--discard")

    assert printed.endswith("Nothing was changed.\n")
    assert Group.objects.filter(name__in=GROUPS).count() == len(GROUPS)


@pytest.mark.services
def test_it_refuses_while_a_worker_takes_from_a_queue(queue):
    queue.consume()

    with pytest.raises(CommandError, match=f"Workers take from {queue.name}: stop web, workers and beat first"):
        run("--yes", "--discard")

    assert Group.objects.filter(name__in=GROUPS).count() == len(GROUPS)


@pytest.mark.parametrize(
    "write",
    [
        lambda name: sales.pending(consumer=name),
        set_consumer,
        lambda name: TotalStat.objects.create(consumer=name),
    ],
    ids=["a message", "a state", "a total"],
)
def test_queues_of_consumers_that_only_the_tables_know_are_found(write):
    with celery_app().connection_for_write() as broker:
        hint_queue("test.gone")(broker.channel()).declare()
    write("test.gone")

    run("--yes", "--discard")

    assert not is_there(hint_queue("test.gone"))


def test_it_neither_shows_nor_makes_a_queue_that_is_not_there(queue):
    with celery_app().connection_for_write() as broker:
        broker.channel().queue_delete(queue_name("dead"))

    shown = run()
    after_looking = is_there(hint_queue("dead"))
    run("--yes")

    assert queue_name("dead") not in shown
    assert (after_looking, is_there(hint_queue("dead"))) == (False, False)


def test_a_queue_that_is_not_for_us_is_named_and_the_others_are_deleted(queue):
    deletes, mine = QueueDeletion.delete, queue_name("dead")
    with celery_app().connection_for_write() as broker:
        dead_letter_queue()(broker.channel()).declare()

    def delete(self, name):
        if name == mine:
            raise BrokerRefuses(name, code=403, said="ACCESS_REFUSED", vhost="/", user="guest")
        deletes(self, name)

    with mock.patch.object(QueueDeletion, "delete", delete):
        printed = run("--yes")
    with celery_app().connection_for_write() as broker:
        broker.channel().queue_delete(mine)

    assert [line for line in printed.splitlines() if "delete_queue" in line] == [
        f"  rabbitmqctl -p '{celery_app().connection_for_write().virtual_host or '/'}' delete_queue '{mine}'"
    ]
    assert not is_there(queue)


@pytest.mark.usefixtures("no_broker")
def test_without_a_broker_it_names_the_queues_that_may_be_left_and_removes_the_rest():
    shown = run()
    with mock.patch.object(QueueDeletion, "delete", autospec=True, side_effect=QueueDeletion.delete) as delete:
        printed = run("--yes")

    assert delete.call_count == 1
    assert "Which queues there are is not known: the broker did not answer" in shown
    assert f"{queue_name(BOOK)} (not known whether it is there)" in lines(shown, "queue")
    assert f"rabbitmqctl -p '/' delete_queue '{queue_name(BOOK)}'" in printed
    assert f"rabbitmqctl -p '/' delete_queue '{queue_name('dead')}'" in printed
    assert ", 0 queues." in printed
    assert not Group.objects.filter(name__in=GROUPS).exists()


def test_foreign_keys_of_the_host_s_to_our_tables_are_the_first_thing_to_remove():
    relation = mock.Mock()
    relation.field.model._meta.label, relation.field.name = "shop.Note", "message"
    with mock.patch("outbox.maintenance.uninstalling.host_relations", return_value=[relation]):
        printed = run("--yes")

    assert "1. Remove shop.Note.message by a migration of your own" in printed


def test_a_database_that_does_not_answer_is_one_sentence():
    away = mock.patch(
        "outbox.management.commands.outbox_uninstall.find_traces", side_effect=OperationalError("refused")
    )
    with away, pytest.raises(CommandError, match="the database does not answer: refused"):
        run()


def test_after_migrate_outbox_zero_it_still_finds_the_rest():
    with mock.patch.object(type(connection.introspection), "table_names", return_value=["auth_group"]):
        printed = run()

    assert len(lines(printed, "group")) == len(GROUPS)
    assert lines(printed, "table") == []
