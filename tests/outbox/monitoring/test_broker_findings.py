"""What was last seen of the broker is judged: alarms, backlogs, dead letters and members, each with its cause."""

from dataclasses import replace
from datetime import timedelta

import pytest

from outbox.broker.queues import dead_letter_queue, queue_name
from outbox.broker.watching import BrokerLook, NodeSeen, QueueSeen
from outbox.models import Heartbeat
from outbox.monitoring.broker import EVERY, look_in_turn, measure_broker, note
from outbox.monitoring.broker_findings import judge_broker
from outbox.monitoring.broker_metrics import broker_metrics
from outbox.monitoring.findings import evaluate
from outbox.monitoring.health import measure
from outbox.monitoring.measurements import BrokerMeasurements, DeadGroup
from outbox.monitoring.notes import read_notes
from tests.harness.clock import HOUR, MINUTE, SECOND, let_pass
from tests.outbox.monitoring.measured import FINE, LIMITS

TILL = "mine.till"
NODE = NodeSeen("rabbit@a", True, 900, 1000, False, 5000, 1000, False)
LOOK = BrokerLook(version="3.10.8", nodes=[NODE], queues=[QueueSeen(TILL, 0, 2, 0, True, 1, 1)])
SEEN = BrokerMeasurements(look=LOOK, looked=SECOND)


def findings(seen=SEEN, **look):
    seen = replace(seen, look=replace(seen.look, **look))
    return {one.about: (one.level.word, one.sentence) for one in judge_broker(seen, known_for=HOUR)}


def queue(**facts):
    return [replace(LOOK.queues[0], **facts)]


def test_what_is_in_order_says_what_proves_it():
    found = findings()

    assert {about: level for about, (level, _said) in found.items()} == {"watch": "ok", "members": "ok"}
    assert "looked at 1 s ago" in found["watch"][1]


@pytest.mark.parametrize(
    ("alarm", "about", "words"),
    [
        ({"memory_alarm": True}, "alarm:memory rabbit@a", ["rabbit@a", "of memory", "none is lost"]),
        ({"disk_alarm": True}, "alarm:disk rabbit@a", ["rabbit@a", "of disk", "none is lost"]),
    ],
)
def test_an_alarm_names_the_node_and_what_it_has_run_out_of(alarm, about, words):
    level, said = findings(nodes=[replace(NODE, **alarm)], blocked="low on something")[about]

    assert level == "critical"
    assert [word for word in words if word not in said] == []


def test_an_alarm_that_only_amqp_tells_of_is_told_in_its_words():
    level, said = findings(nodes=[], blocked="low on disk")["alarm"]

    assert (level, "low on disk" in said) == ("critical", True)


def test_an_alarm_is_told_once():
    seen = replace(SEEN, look=replace(LOOK, blocked="low on memory"))
    measured = replace(FINE, broker=seen, alarmed=True, broker_away=True)

    assert [one.about for one in evaluate(measured, LIMITS) if one.level] == ["alarm"]


def test_what_the_rescan_says_of_an_alarm_stands_where_the_look_is_old():
    seen = replace(SEEN, look=replace(LOOK, blocked="low on memory"), looked=HOUR)
    measured = replace(FINE, broker=seen, alarmed=True, broker_away=True)

    assert [one.about for one in evaluate(measured, LIMITS) if one.level] == ["broker", "watch"]


def test_a_queue_from_which_nobody_takes_is_said():
    level, said = findings(queues=queue(ready=3, takers=0))[f"backlog:{TILL}"]

    assert (level, "No worker takes" in said, "3 hints" in said) == ("warning", True, True)


def test_a_queue_that_grows_is_said_with_what_its_workers_hold():
    seen = replace(SEEN, growing={TILL: 60})
    level, said = findings(seen, queues=queue(ready=1200, takers=2, unacked=4))[f"backlog:{TILL}"]

    assert level == "warning"
    assert [word for word in ("60", "1,200", "4 are with workers (2)") if word not in said] == []


def test_dead_letters_of_which_nobody_takes_are_no_backlog():
    dead = QueueSeen(dead_letter_queue().name, 5, 0, 0, True, 1, 1)

    assert [about for about in findings(queues=[dead]) if about.startswith("backlog")] == []


def test_a_dead_letter_is_said_with_its_cause():
    seen = replace(SEEN, dead=(DeadGroup("delivery_limit", TILL, 2), DeadGroup("rejected", TILL, 1)))
    level, said = findings(seen)["dead_letters"]

    assert (level, said.startswith("3 hints"), "worker after worker was lost" in said) == ("warning", True, True)


def test_a_queue_with_one_member_is_said_and_warned_of_where_there_are_more_nodes():
    level, said = findings()["members"]
    assert (level, TILL in said, "one node" in said) == ("ok", True, True)

    level, said = findings(nodes=[NODE, replace(NODE, name="rabbit@b")])["members"]
    assert (level, "rabbitmq-queues grow" in said) == ("warning", True)


def test_members_that_are_away_are_said():
    level, said = findings(queues=queue(members=3, online=2))[f"members:{TILL}"]

    assert (level, "3 members and 2" in said) == ("warning", True)


def test_a_node_that_does_not_run_is_said():
    assert findings(nodes=[replace(NODE, is_running=False)])["node:rabbit@a"][0] == "warning"


def test_a_silent_management_api_is_no_error_and_said_once():
    found = findings(management="http://r:15672", silent="401", nodes=[])

    assert [said for level, said in found.values() if "management API" in said and level == "ok"] == [
        found["watch:management"][1]
    ]


@pytest.mark.parametrize(
    ("looked", "known_for", "levels"),
    [(None, MINUTE, []), (None, HOUR, ["warning"]), (HOUR, HOUR, ["warning"]), (SECOND, HOUR, ["ok", "ok"])],
)
def test_nothing_is_in_order_because_nobody_has_looked(looked, known_for, levels):
    seen = replace(SEEN, looked=looked)

    assert [one.level.word for one in judge_broker(seen, known_for=known_for)] == levels


def test_where_the_rescan_is_overdue_that_is_said_and_not_that_nobody_looks():
    measured = replace(FINE, rescan=HOUR, broker=replace(SEEN, looked=HOUR))

    assert [one.about for one in evaluate(measured, LIMITS) if one.level] == ["rescan"]


def test_a_broker_of_files_has_nothing_to_be_watched():
    assert findings(look_of_files := replace(SEEN, look=BrokerLook(is_amqp=False))) == {}
    assert [family.name for family in broker_metrics(look_of_files)] == [
        "outbox_broker_look_age_seconds",
        "outbox_dead_letters",
    ]


def metrics(seen) -> dict[tuple[str, ...], float]:
    return {
        (sample.name.removeprefix("outbox_"), *sample.labels.values()): sample.value
        for family in broker_metrics(seen)
        for sample in family.samples
    }


def test_the_metrics_have_what_is_known_and_nothing_that_is_old():
    found = metrics(replace(SEEN, dead=(DeadGroup("delivery_limit", TILL, 2),)))

    assert found["queue_messages", TILL, "ready"] == 0
    assert found["queue_messages", TILL, "unacked"] == 0
    assert found["queue_consumers", TILL] == 2
    assert found["queue_members", TILL, "all"] == 1
    assert found["dead_letters", TILL, "delivery_limit"] == 2
    assert found["broker_blocked",] == 0
    assert found["broker_alarm", "rabbit@a", "memory"] == 0
    assert found["broker_bytes", "rabbit@a", "memory_limit"] == 1000
    assert ("queue_consumers", TILL) not in metrics(replace(SEEN, looked=HOUR))
    assert ("queue_consumers", TILL) not in metrics(replace(SEEN, look=replace(LOOK, away="gone")))
    assert metrics(replace(SEEN, looked=HOUR))["broker_look_age_seconds",] == 3600


class Watcher:
    """Sees what it is given, and counts."""

    def __init__(self):
        self.looks = 0

    def look(self, names):
        self.looks += 1
        return replace(LOOK, queues=[QueueSeen(name, 100 * self.looks, 1) for name in names])


@pytest.mark.django_db(transaction=True)
def test_one_of_many_looks_and_the_same_one_again():
    one, other = Watcher(), Watcher()

    assert look_in_turn(one, was_mine=False)
    assert not look_in_turn(other, was_mine=False)
    let_pass(EVERY + timedelta(seconds=1))
    assert not look_in_turn(other, was_mine=False)
    assert look_in_turn(one, was_mine=True)

    assert (one.looks, other.looks) == (2, 0)


@pytest.mark.django_db(transaction=True)
def test_what_was_seen_comes_back_as_it_was_and_what_grows_since_when():
    control = queue_name("control")
    for ready in (60, 80, 200):
        note(replace(LOOK, queues=[QueueSeen(control, ready, 1), QueueSeen(dead_letter_queue().name, ready, 0)]))

    seen = measure_broker(read_notes(["broker"]))

    assert seen.growing == {control: 60}
    assert seen.look.nodes == [NODE]
    assert seen.look.queues[0] == QueueSeen(control, 200, 1)
    assert replace(measure().broker, looked=seen.looked) == seen

    note(replace(LOOK, queues=[QueueSeen(control, 30, 1)]))
    assert measure_broker(read_notes(["broker"])).growing == {}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("earlier", "now", "said"),
    [(0, 40, True), (40, 50, True), (50, 50, True), (51, 50, True), (0, 20, False), (50, 40, False), (40, 30, False)],
)
def test_a_queue_grows_while_it_fills_up_and_while_it_stays_full(earlier, now, said):
    control = queue_name("control")
    for ready in (earlier, now):
        note(replace(LOOK, queues=[QueueSeen(control, ready, 1)]))

    assert measure_broker(read_notes(["broker"])).growing == ({control: earlier} if said else {})


@pytest.mark.django_db(transaction=True)
def test_a_note_of_another_release_is_read_as_far_as_it_is_known():
    Heartbeat.objects.record("broker", version="9", news=1, queues=[{"name": "q", "colour": "red"}], nodes=None)

    assert measure_broker(read_notes(["broker"])).look == BrokerLook(version="9", queues=[QueueSeen("q")], nodes=[])
