"""Failures are counted for each group, and counting never costs a message anything."""

import logging
import time

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from outbox import Reject, memory
from outbox.admin.failures.sparkline import read_sparklines
from outbox.delivery import chunks
from outbox.failures import counting
from outbox.failures.fingerprint import fingerprint
from outbox.maintenance import pruning
from outbox.models import FailureCount, FailureGroup, FailureHour, GroupState, Message
from tests.harness.messages import kept_attempts, publish_message, publish_messages, state_of, states_of
from tests.outbox.failures.raising import Jammed, raised

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")


def test_failures_of_a_chunk_are_counted_once_for_each_group(listen):
    def fail(message):
        raise Jammed(f"jammed at {message.pk}") if message.payload["kind"] == "jam" else ValueError("torn")

    listen(fail)
    ids = [publish_message(kind=kind) for kind in ("jam", "tear", "jam", "jam")]

    with CaptureQueriesContext(connection) as captured:
        chunks.deliver("test.till", ids)

    counts = [query["sql"] for query in captured.captured_queries if "outbox_failurecount" in query["sql"]]
    totals = dict(FailureGroup.objects.with_totals().values_list("title", "total"))
    assert totals == {"jammed at <n>": 3, "torn": 1}
    assert len(counts) == 2
    assert [entry.status for entry in states_of(ids)] == ["pending"] * 4


def test_what_is_exhausted_names_its_group(listen):
    def fail(message):
        raise Reject("not for sale")

    listen(fail)
    id = publish_message()

    chunks.deliver("test.till", [id])

    assert Message.objects.get(pk=id).failure == FailureGroup.objects.get().fingerprint
    assert state_of(id).status == "failed"


def test_processes_count_in_slots_of_their_own(monkeypatch):
    failure = fingerprint("shop.book", raised(Jammed("jammed")))
    for pid in (16, 17, 33):
        monkeypatch.setattr("outbox.failures.counting.os.getpid", lambda pid=pid: pid)
        counting.count_failures({failure: 2})

    assert dict(FailureCount.objects.values_list("slot", "count")) == {0: 2, 1: 4}


def test_what_was_said_to_be_fixed_and_comes_back_is_new_again_and_counted_as_a_regression():
    failure = fingerprint("shop.book", raised(Jammed("jammed")))
    counting.count_failures({failure: 1})
    FailureGroup.objects.update(state=GroupState.FIXED)
    memory.forget_all()

    counting.count_failures({failure: 1})
    counting.count_failures({failure: 1})

    group = FailureGroup.objects.get()
    assert (group.state, group.regressions) == (GroupState.NEW, 1)


def test_trouble_with_counting_costs_no_message_anything(listen, monkeypatch, caplog):
    def broken(_digest, _failures):
        raise DatabaseError("no room")

    def fail(_message):
        raise Jammed("jammed")

    listen(fail)
    monkeypatch.setattr(counting, "_add_to_count", broken)
    ids = publish_messages(2)

    with caplog.at_level(logging.ERROR, logger="outbox.failures"):
        chunks.deliver("test.till", ids)

    assert [entry.status for entry in states_of(ids)] == ["pending"] * 2
    assert [outcome for _number, outcome, _error in kept_attempts(ids[0])] == ["failed"]
    assert "2 failures were not counted" in caplog.text


def test_failures_are_counted_by_the_hour_as_well_and_a_day_of_that_is_kept(monkeypatch):
    failure = fingerprint("shop.book", raised(Jammed("jammed")))
    for pid in (16, 17):
        monkeypatch.setattr("outbox.failures.counting.os.getpid", lambda pid=pid: pid)
        counting.count_failures({failure: 2})
        counting.count_failures({failure: 1})
    group = FailureGroup.objects.get()
    [now, _other_slot] = FailureHour.objects.order_by("slot")
    for ago, count in ((3, 5), (23, 7), (24, 100)):
        FailureHour.objects.create(group=group, hour=now.hour - ago, slot=0, count=count)

    [line] = read_sparklines([[group.pk]])
    pruning._prune_small_tables()

    assert (now.hour, now.count) == (int(time.time()) // 3600, 3)
    assert list(line.counts) == [7, *[0] * 19, 5, 0, 0, 6]
    assert line.words == "in the last 24 hours 18, at most 7 in one hour, 6 in this one"
    assert sorted(now.hour - hour for hour in FailureHour.objects.values_list("hour", flat=True)) == [0, 0, 3, 23]


def test_one_statement_counts_a_group_and_its_hour(monkeypatch):
    failure = fingerprint("shop.book", raised(Jammed("jammed")))
    counting.count_failures({failure: 1})

    with CaptureQueriesContext(connection) as captured:
        counting.count_failures({failure: 1})

    assert len(captured) == (1 if connection.vendor == "postgresql" else 2)
    assert (FailureCount.objects.get().count, FailureHour.objects.get().count) == (2, 2)


def test_the_lines_of_all_groups_take_one_statement():
    failures = [fingerprint("shop.book", raised(kind("torn"))) for kind in (Jammed, ValueError, TypeError)]
    counting.count_failures(dict.fromkeys(failures, 1))

    with CaptureQueriesContext(connection) as captured:
        lines = read_sparklines([[failure.digest] for failure in failures])

    assert len(captured) == 1
    assert [sum(line.counts) for line in lines] == [1, 1, 1]


def test_what_comes_back_of_a_merged_kind_opens_the_group_that_stands_for_it():
    one, other = (fingerprint("shop.book", raised(kind("torn"))) for kind in (Jammed, ValueError))
    counting.count_failures({one: 1, other: 1})
    FailureGroup.objects.filter(pk=one.digest).update(merged_into=other.digest, state=GroupState.FIXED)
    FailureGroup.objects.filter(pk=other.digest).update(state=GroupState.FIXED)
    memory.forget_all()

    counting.count_failures({one: 1})

    states = dict(FailureGroup.objects.values_list("pk", "state"))
    assert states == {one.digest: GroupState.FIXED, other.digest: GroupState.NEW}
