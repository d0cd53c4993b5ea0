"""What a person sets for the chores in the admin holds: workers wait as long, and cover for nothing switched off."""

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.db import connections, router
from django.utils import timezone

from outbox import tasks
from outbox.maintenance import rescan
from outbox.maintenance.schedule import ensure_entries
from outbox.models import ConsumerState, Heartbeat
from outbox.monitoring import alerts, planned
from outbox.monitoring.finding import What
from outbox.monitoring.health import health, unready
from outbox.monitoring.measurements import Planned
from tests.harness import beat
from tests.harness.clock import HOUR, MINUTE, SECOND, database_time, let_pass
from tests.harness.rows import all_is_well, rescanned
from tests.outbox.maintenance.covering import COVERS

tables = pytest.importorskip("django_celery_beat.models", reason=beat.WHY_NOT)
CrontabSchedule, IntervalSchedule = tables.CrontabSchedule, tables.IntervalSchedule
PeriodicTask = tables.PeriodicTask

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched", "link")


@pytest.fixture(autouse=True)
def _entries(transactional_db):
    """The entries as ``migrate`` makes them, before and after."""
    PeriodicTask.objects.filter(task__startswith="outbox.").delete()
    ensure_entries()
    yield
    PeriodicTask.objects.filter(task__startswith="outbox.").delete()
    ensure_entries()


def set_entry(task: str, **changes: object) -> PeriodicTask:
    """Change an entry as the admin's form does."""
    entry = PeriodicTask.objects.get(task=task)
    for name, value in changes.items():
        setattr(entry, name, value)
    entry.save()
    return entry


def seconds(every: int) -> IntervalSchedule:
    return IntervalSchedule.objects.get_or_create(every=every, period="seconds")[0]


def findings_about(what: What) -> list[tuple[str, str]]:
    return [(one.level.word, one.sentence) for one in health().findings if one.what is what]


def test_a_rescan_every_thirty_seconds_is_overdue_thirty_seconds_later_than_one_every_second():
    set_entry("outbox.rescan", interval=seconds(30))
    rescan.rescan()
    let_pass(33 * SECOND)
    early = rescan.rescan_if_overdue()
    let_pass(2 * SECOND)

    assert (early, rescan.rescan_if_overdue(), rescan.rescan_if_overdue()) == (False, True, False)


def test_a_rescan_every_thirty_seconds_is_in_order_for_as_much_longer():
    set_entry("outbox.rescan", interval=seconds(30))
    all_is_well()
    rescanned(43 * SECOND)
    in_time, ready = findings_about(What.RESCAN), unready()
    rescanned(45 * SECOND)

    assert (in_time, ready) == ([("ok", "The rescan last succeeded 43 s ago (limit 44 s).")], [])
    assert [level for level, _sentence in findings_about(What.RESCAN)] == ["critical"]
    assert unready()[0] == "The rescan last succeeded 45 s ago, limit 44 s."


@pytest.mark.parametrize(("name", "task"), [(name, planned.CHORES[name].task) for name in COVERS])
def test_no_worker_does_what_a_person_has_switched_off(name, task):
    all_is_well()
    Heartbeat.objects.update(at=database_time() - HOUR)
    set_entry(task, enabled=False)

    tasks.run_overdue_jobs()

    assert [other for other in COVERS if not Heartbeat.objects.ran_within(other, MINUTE)] == [name]


def test_a_consumer_that_came_back_is_not_sent_for_while_the_rescan_is_switched_off(listen):
    listen()
    ConsumerState.objects.create(consumer="test.till", gone_since=database_time())
    set_entry("outbox.rescan", enabled=False)

    assert not rescan.rescan_if_overdue()
    assert ConsumerState.objects.get().gone_since is None


def test_one_of_two_entries_that_is_on_is_enough():
    all_is_well()
    entry = set_entry("outbox.rescan", enabled=False)
    PeriodicTask.objects.create(name="mine", task=entry.task, interval=seconds(60))

    assert planned.read_plans()["rescan"] == Planned(later=59 * SECOND)


def test_what_is_switched_off_names_who_has_changed_it_last():
    ada = get_user_model().objects.create(username="ada")
    all_is_well()
    rescanned(HOUR)
    entry = set_entry("outbox.rescan", enabled=False)
    LogEntry.objects.create(
        user=ada,
        content_type=ContentType.objects.get_for_model(PeriodicTask),
        object_id=str(entry.pk),
        object_repr="it",
        action_flag=CHANGE,
        action_time=timezone.now() - 3 * HOUR,
    )

    sentence = (
        "The entry “outbox: rescan” of celery-beat is switched off, last changed in the admin by ada 3 h ago: what is "
        "unfinished is not sent again, and workers do not cover for it. Switch it on."
    )
    assert findings_about(What.RESCAN) == [("critical", sentence)]
    assert unready() == [sentence]
    assert [one.sentence for one in alerts.watch()] == [sentence]
    ada.delete()


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("outbox.prune", "settled messages are not deleted, and the table grows"),
        ("outbox.roll_up", "charts and metrics stand still"),
        ("outbox.alert", "nobody is told what is wrong"),
        ("outbox.check_audit", "nobody notices when the audit is tampered with"),
    ],
)
def test_any_other_chore_that_is_switched_off_is_a_warning(task, words):
    all_is_well()
    name = set_entry(task, enabled=False).name

    wrong = [finding for finding in findings_about(What.MAINTENANCE) if finding[0] != "ok"]

    assert wrong == [("warning", f"The entry “{name}” of celery-beat is switched off: {words}. Switch it on.")]


def test_a_rescan_just_switched_off_takes_no_server_out_of_service_yet():
    all_is_well()
    set_entry("outbox.rescan", enabled=False)

    assert unready() == []


@pytest.mark.parametrize(
    ("crontab", "longest"),
    [
        ({"minute": "*/5", "hour": "*"}, 5 * MINUTE),
        ({"minute": "0", "hour": "4"}, 24 * HOUR),
        ({"minute": "0", "hour": "9", "day_of_week": "1-5"}, 72 * HOUR),
    ],
)
def test_a_crontab_counts_as_the_longest_time_between_two_calls(crontab, longest):
    set_entry("outbox.prune", interval=None, crontab=CrontabSchedule.objects.get_or_create(**crontab)[0])

    assert planned.read_plans()["prune"].later == longest - 10 * SECOND


def test_without_django_celery_beat_the_chores_are_expected_as_usual(settings):
    set_entry("outbox.rescan", enabled=False)
    settings.INSTALLED_APPS = [name for name in settings.INSTALLED_APPS if name != "django_celery_beat"]

    assert planned.read_plans() == dict.fromkeys(planned.CHORES, Planned())


def test_entries_that_cannot_be_read_keep_no_worker_from_covering():
    all_is_well()
    rescanned(HOUR)
    theirs = connections[router.db_for_write(PeriodicTask)]
    with theirs.cursor() as cursor:
        cursor.execute("ALTER TABLE django_celery_beat_periodictask RENAME TO away")
    try:
        covered = rescan.rescan_if_overdue()
    finally:
        with theirs.cursor() as cursor:
            cursor.execute("ALTER TABLE away RENAME TO django_celery_beat_periodictask")

    assert covered
