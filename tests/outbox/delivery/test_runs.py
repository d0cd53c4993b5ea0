"""What stands behind the head of a key is started with it: a run without a gap, called in order, held by one worker."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from outbox import Draft, Reject, Snooze, Unavailable, operate, publish_many
from outbox.broker import dispatcher
from outbox.delivery import atomic, chunks, starting
from outbox.maintenance import rescan
from outbox.models import Attempt, ConsumerState, Message
from tests.harness.clock import let_pass
from tests.harness.messages import MessageState, publish_message, publish_messages, set_message, state_of, states_of
from tests.harness.threads import beside, in_thread
from tests.shop.consumers import leave_effect

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")

KEY = "till 1"
DAY = timedelta(days=1)
NEW = MessageState("pending", attempts=0, attempt_limit=3)
DONE = MessageState("success", attempts=1, attempt_limit=3)
GIVEN_BACK = MessageState("pending", attempts=1, attempt_limit=4)


def asleep() -> list[int]:
    """Return the ids of the messages that are not due before their deadline."""
    return list(Message.objects.unfinished().filter(due_at=F("expires_at")).order_by("id").values_list("pk", flat=True))


def start(till, ids, room=50):
    """Start the named heads and what stands behind them, as a worker does."""
    heads = starting.start_named(till, ids)
    return [*heads, *starting.start_behind(till, heads, room=room)]


def holders() -> list[int]:
    """Return the ids of the messages that hold their keys."""
    return list(Message.objects.filter(holds_key=True).order_by("id").values_list("pk", flat=True))


@pytest.fixture
def called(listen):
    """The consumer, and the ids of the messages that it was called for."""
    ids: list[int] = []

    def note(message):
        ids.append(message.pk)
        leave_effect(message)
        match message.payload.get("do"):
            case "fail":
                raise ValueError("the till is jammed")
            case "reject":
                raise Reject("not for sale")
            case "snooze":
                raise Snooze(timedelta(minutes=1))
            case "unavailable":
                raise Unavailable("the bank does not answer")

    def register(**options):
        return listen(note, **options)

    register.ids = ids
    return register


class TestStart:
    def test_a_head_is_started_with_what_stands_behind_it_and_holds_the_key_for_all(self, listen):
        till = listen()
        ids = publish_messages(3, ordering_key=KEY)
        other = publish_message(ordering_key="till 2")

        run = start(till, [ids[0]])

        assert sorted(row.id for row in run) == ids
        assert {state.status for state in states_of(ids)} == {"started"}
        assert holders() == [ids[0]]
        assert state_of(other) == NEW

    def test_the_room_in_the_chunk_is_shared_out_so_that_every_key_has_its_next(self, listen):
        till = listen()
        one, two = (publish_messages(4, ordering_key=key) for key in ("till 1", "till 2"))

        run = start(till, [one[0], two[0]], room=3)

        assert sorted(row.id for row in run) == sorted([*one[:3], *two[:2]])

    @pytest.mark.parametrize(
        "state",
        [
            {"not_before": Now() + DAY, "due_at": Now() + DAY},
            {"expires_at": Now() - DAY},
            {"lost": 1},
            {"status": "failed", "finished_at": Now(), "exhausted_at": Now()},
            {"status": "started", "attempts": 1, "started_at": Now(), "lease_until": Now() + DAY},
        ],
        ids=["delayed", "expired", "lost", "failed", "started by another"],
    )
    def test_a_run_ends_before_what_may_not_be_started(self, listen, state):
        till = listen()
        ids = publish_messages(5, ordering_key=KEY)
        set_message(ids[2], **state)

        run = start(till, [ids[0]])

        assert sorted(row.id for row in run) == ids[:2]

    def test_a_run_goes_on_behind_what_a_person_has_settled(self, listen):
        till = listen()
        ids = publish_messages(3, ordering_key=KEY)
        set_message(ids[1], status="failed", finished_at=Now(), exhausted_at=Now())
        operate.discard(ids[1], revision=0, actor="ada", reason="not for sale")

        run = start(till, [ids[0]])

        assert sorted(row.id for row in run) == [ids[0], ids[2]]

    @pytest.mark.services
    def test_a_run_ends_before_what_somebody_else_has_locked(self, listen):
        till = listen()
        ids = publish_messages(5, ordering_key=KEY)
        locked, looked = threading.Event(), threading.Event()

        def hold():
            with transaction.atomic():
                list(Message.objects.filter(pk=ids[2]).select_for_update())
                locked.set()
                assert looked.wait(10)

        with beside(hold):
            assert locked.wait(10)
            run = start(till, [ids[0]])
            looked.set()

        assert sorted(row.id for row in run) == ids[:2]

    @pytest.mark.parametrize(
        "change", [{"lost": 1}, {"last_error": "ValueError: the till is jammed"}], ids=["lost", "failed before"]
    )
    def test_a_head_that_may_not_succeed_goes_alone(self, listen, change):
        till = listen()
        ids = publish_messages(3, ordering_key=KEY)
        set_message(ids[0], **change)

        run = start(till, [ids[0]])

        assert [row.id for row in run] == [ids[0]]

    def test_nothing_is_started_behind_a_canary_or_of_a_consumer_that_was_paused_meanwhile(self, listen):
        till = listen()
        ids = publish_messages(3, ordering_key=KEY)
        ConsumerState.objects.create(consumer="test.till", breaker="open", canary=ids[0])
        canary = start(till, [ids[0]])
        heads = [row for row in canary if row.id == ids[0]]
        ConsumerState.objects.update(breaker="closed", canary=None, paused_at=Now())

        paused = starting.start_behind(till, heads, room=50)

        assert [row.id for row in canary] == [ids[0]]
        assert paused == []

    def test_nothing_is_started_behind_a_head_that_is_no_longer_ours(self, listen, link):
        till = listen()
        ids = publish_messages(3, ordering_key=KEY)
        heads = starting.start_named(till, [ids[0]])
        let_pass(timedelta(seconds=30))
        rescan.rescan()

        assert starting.start_behind(till, heads, room=50) == []

    def test_nothing_is_started_behind_what_is_called_row_by_row(self, listen):
        from tests.shop.consumers import order

        listen(order, atomic=False)
        ids = publish_messages(3, ordering_key=KEY)

        chunks.deliver("test.till", [ids[0]])

        assert states_of(ids) == [DONE, NEW, NEW]


class TestTogether:
    def test_a_run_is_handled_in_one_transaction_and_in_its_order(self, listen):
        seen = []
        listen(lambda message: seen.append((message.pk, message.transaction)))
        ids = publish_messages(5, ordering_key=KEY)

        chunks.deliver("test.till", [ids[0]])

        assert [id for id, _transaction in seen] == ids
        assert len({transaction for _id, transaction in seen}) == 1
        assert states_of(ids) == [DONE] * 5

    @pytest.mark.parametrize("do", ["fail", "reject", "snooze", "unavailable"])
    def test_where_one_does_not_succeed_the_rest_of_its_key_is_given_back_and_sleeps(self, called, one_chunk, do):
        called()
        with transaction.atomic():
            ids = publish_many(
                Draft("test.sold", key=n, payload={"do": do if n == 1 else ""}, ordering_key=KEY) for n in range(5)
            )
        others = publish_messages(2, ordering_key="till 2")

        chunks.deliver("test.till", [ids[0], others[0]])

        assert called.ids == [*ids[:2], *others]
        assert states_of([ids[0], *others]) == [DONE] * 3
        assert state_of(ids[1]).status == ("failed" if do == "reject" else "pending")
        assert states_of(ids[2:]) == [GIVEN_BACK] * 3
        assert asleep() == ids[2:]
        assert Attempt.objects.count() == 1

    def test_what_a_failed_one_has_held_up_goes_on_in_order_once_it_succeeds(self, called):
        called()
        ids = publish_messages(4, ordering_key=KEY)
        set_message(ids[1], payload={"do": "fail"})
        chunks.deliver("test.till", [ids[0]])
        set_message(ids[1], payload={})
        let_pass(timedelta(seconds=20), ids[1])

        chunks.deliver("test.till", ())

        assert called.ids == [ids[0], ids[1], *ids[1:]]
        assert {state.status for state in states_of(ids)} == {"success"}

    def test_a_person_who_discards_the_head_lets_the_whole_run_go(self, called):
        called()
        ids = publish_messages(4, ordering_key=KEY)
        set_message(ids[0], payload={"do": "reject"})
        chunks.deliver("test.till", [ids[0]])
        operate.discard(ids[0], revision=0, actor="ada", reason="not for sale")

        chunks.deliver("test.till", [ids[1]])

        assert called.ids == ids
        assert [state.status for state in states_of(ids)] == ["failed", *["success"] * 3]

    def test_what_time_does_not_allow_is_given_back_and_its_next_is_woken(self, listen, configure, one_chunk):
        configure(CHUNK_TIME=timedelta(seconds=0.2), CHUNK_TIME_SQLITE=timedelta(seconds=0.2))
        listen(lambda _message: time.sleep(0.15))
        ids = publish_messages(5, ordering_key=KEY)

        chunks.deliver("test.till", [ids[0]])

        done = Message.objects.filter(status="success").count()
        assert 1 <= done < 5
        assert states_of(ids) == [*[DONE] * done, *[GIVEN_BACK] * (5 - done)]
        assert asleep() == ids[done + 1 :]

    def test_those_of_a_key_keep_their_order_whatever_sort_says(self, called):
        called(sort=lambda message: -message.pk)
        with transaction.atomic():
            keys = ["a", "", "b", "a", "b", "", "a"]
            ids = publish_many(Draft("test.sold", key=n, payload={}, ordering_key=key) for n, key in enumerate(keys))
        key_of = dict(Message.objects.values_list("pk", "ordering_key"))

        chunks.deliver("test.till", ids)

        free, *ordered = ([id for id in called.ids if key_of[id] == key] for key in ("", "a", "b"))
        assert free == sorted(free, reverse=True)
        assert ordered == [sorted(of_key) for of_key in ordered]
        assert [len(of_key) for of_key in (free, *ordered)] == [2, 3, 2]

    def test_of_a_sorted_chunk_a_run_is_as_old_as_its_head(self, called):
        till = called(sort=lambda message: message.pk)
        ids = publish_messages(3, ordering_key=KEY)
        free = publish_messages(2)
        rows = start(till, [ids[0], *free])

        with transaction.atomic():
            messages = atomic.lock(till, [row.fence for row in rows], wait=timedelta(seconds=1))
            transaction.set_rollback(True)

        assert [message.pk for message in messages] == [*ids, *free]

    def test_a_bulk_call_has_the_run_in_order_and_a_failed_one_is_made_again_in_lists_of_one(self, listen, one_chunk):
        calls = []

        def count(messages):
            calls.append([message.pk for message in messages])
            if any(message.payload.get("do") == "fail" for message in messages):
                raise ValueError("cannot count this")

        listen(count, bulk=True)
        ids = publish_messages(4, ordering_key=KEY)
        set_message(ids[1], payload={"do": "fail"})

        chunks.deliver("test.till", [ids[0]])

        assert calls == [ids, [ids[0]], [ids[1]]]
        assert [states_of(ids)[0], *states_of(ids)[2:]] == [DONE, GIVEN_BACK, GIVEN_BACK]
        assert asleep() == ids[2:]


class TestOneByOne:
    """Each in a transaction of its own: an isolated consumer, or a chunk that came to nothing."""

    @pytest.mark.services
    def test_each_hands_the_key_on_to_the_next(self, listen):
        seen = []
        listen(lambda message: seen.append((message.pk, in_thread(holders))), isolated=True)
        ids = publish_messages(4, ordering_key=KEY)

        chunks.deliver("test.till", [ids[0]])

        assert seen == [(id, [id]) for id in ids]
        assert states_of(ids) == [DONE] * 4

    @pytest.mark.services
    def test_an_earlier_one_that_a_person_puts_back_waits_until_the_run_is_over(self, listen):
        at_once = []

        def put_back():
            operate.reopen(first, revision=1, actor="ada", reason="it was for sale")
            operate.retry(first, revision=2, actor="ada", reason="it was for sale")

        def handler(message):
            if message.pk == ids[1]:
                in_thread(put_back)
            if message.pk in ids[1:]:
                at_once.extend(row.id for row in in_thread(lambda: starting.start_named(till, [first])))

        till = listen(handler, isolated=True)
        first, *ids = publish_messages(4, ordering_key=KEY)
        set_message(first, status="failed", finished_at=Now(), exhausted_at=Now())
        operate.discard(first, revision=0, actor="ada", reason="not for sale")

        chunks.deliver("test.till", [ids[0]])

        assert at_once == []
        assert [state.status for state in states_of([first, *ids])] == ["success"] * 4

    @pytest.mark.parametrize("do", ["fail", "reject", "snooze", "unavailable"])
    def test_where_one_does_not_succeed_the_rest_goes_back_in_the_same_transaction(self, called, one_chunk, do):
        called(isolated=True)
        ids = publish_messages(5, ordering_key=KEY)
        set_message(ids[1], payload={"do": do})
        other = publish_message(ordering_key="till 2")

        chunks.deliver("test.till", [ids[0], other])

        assert called.ids == [ids[0], other, ids[1]]
        assert states_of([ids[0], other]) == [DONE, DONE]
        assert states_of(ids[2:]) == [GIVEN_BACK] * 3
        assert asleep() == ids[2:]
        assert holders() == []

    def test_what_time_does_not_allow_is_given_back(self, listen, configure, one_chunk):
        configure(CHUNK_TIME=timedelta(seconds=0.2), CHUNK_TIME_SQLITE=timedelta(seconds=0.2))
        listen(lambda _message: time.sleep(0.15), isolated=True)
        ids = publish_messages(5, ordering_key=KEY)

        chunks.deliver("test.till", [ids[0]])

        done = Message.objects.filter(status="success").count()
        assert 1 <= done < 5
        assert states_of(ids) == [*[DONE] * done, *[GIVEN_BACK] * (5 - done)]
        assert asleep() == ids[done + 1 :]

    @pytest.mark.services
    def test_a_run_whose_chunk_met_others_is_redone_in_order(self, called):
        """The handler of the third meets a lock; what is behind it was not called, and follows it."""
        called()
        ids = publish_messages(5, ordering_key=KEY)
        met = []
        call = atomic.execution.call_handler

        def meet(consumer, message, savepoints):
            if message.pk == ids[2] and not met:
                met.append(message.pk)
                raise atomic.Redo("met others")
            return call(consumer, message, savepoints)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(atomic.execution, "call_handler", meet)
            chunks.deliver("test.till", [ids[0]])

        assert met == [ids[2]]
        assert called.ids == ids
        assert states_of(ids) == [DONE] * 5

    @pytest.mark.services
    @pytest.mark.parametrize("ends", ["ROLLBACK", "COMMIT"])
    def test_behind_one_that_ended_the_transaction_nothing_of_its_key_is_called(self, listen, one_chunk, ends):
        called = []

        def handler(message):
            called.append(message.pk)
            leave_effect(message)
            if message.pk == ids[1]:
                with connection.cursor() as cursor:
                    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
                    cursor.execute(ends)

        listen(handler)
        ids = publish_messages(4, ordering_key=KEY)
        free = publish_message()

        chunks.deliver("test.till", [ids[0], free])

        assert state_of(ids[1]).reason == "ended_transaction"
        assert [id for id in called if id in ids[2:]] == []
        assert {state.status for state in states_of(ids[2:])} == {"pending"}
        assert [state.status for state in states_of([ids[0], free])] == ["success", "success"]
        assert holders() == []


class TestLost:
    def test_a_lost_run_comes_back_asleep_behind_its_head_and_no_loss_of_it_counts(self, listen, link):
        till = listen()
        ids = publish_messages(4, ordering_key=KEY)
        start(till, [ids[0]])
        let_pass(timedelta(seconds=30))

        rescan.rescan()

        assert states_of(ids) == [GIVEN_BACK._replace(lost=1, sends=sends) for sends in (1, 0, 0, 0)]
        assert asleep() == ids[1:]
        assert link.sent_ids == [(ids[0],)]
        assert holders() == []

    def test_what_was_lost_goes_one_by_one_and_what_is_behind_it_in_runs_again(self, listen, monkeypatch, link):
        starts = []
        till = listen()
        lost, later = publish_messages(3, ordering_key=KEY), publish_messages(3, ordering_key=KEY)
        start(till, [lost[0]], room=2)
        let_pass(timedelta(seconds=30))
        rescan.rescan()
        handle = atomic.handle

        def note(consumer, fences):
            starts.append([fence.id for fence in fences])
            handle(consumer, fences)

        monkeypatch.setattr(atomic, "handle", note)
        hints = [[lost[0]]]
        monkeypatch.setattr(dispatcher, "dispatch", lambda named: hints.append(list(named["test.till"])))

        while hints:
            chunks.deliver("test.till", hints.pop())

        assert starts == [[lost[0]], [lost[1]], [lost[2]], later]
        assert {state.status for state in states_of([*lost, *later])} == {"success"}
        assert {state.attempt_limit for state in states_of(lost)} == {4}

    def test_a_stale_worker_calls_nothing_behind_a_head_that_was_taken_back(self, called, link):
        till = called()
        ids = publish_messages(4, ordering_key=KEY)
        stale = start(till, [ids[0]])
        let_pass(timedelta(seconds=30), ids[0])
        rescan.rescan()

        chunks.deliver_together(till, stale)

        assert called.ids == []
        assert [state.status for state in states_of(ids)] == ["pending"] * 4
        assert asleep() == ids[1:]

    def test_a_stale_worker_calls_nothing_beyond_one_that_was_taken_back(self, called):
        till = called()
        ids = publish_messages(4, ordering_key=KEY)
        stale = start(till, [ids[0]])
        Message.objects.filter(pk=ids[1]).mark_pending(wait=timedelta(0), free=True, lost=1, error=None)

        chunks.deliver_together(till, stale)

        assert called.ids == [ids[0]]
        assert [state.status for state in states_of(ids)] == ["success", *["pending"] * 3]

    def test_a_head_that_ran_again_and_was_settled_before_its_run_was_taken_back_wakes_it(self, listen, link):
        till = listen()
        ids = publish_messages(3, ordering_key=KEY)
        start(till, [ids[0]])
        let_pass(timedelta(seconds=30), ids[0])
        rescan.rescan()
        chunks.deliver("test.till", [ids[0]])
        let_pass(timedelta(seconds=30), *ids[1:])

        for _pass in range(2):
            rescan.rescan()

        assert [state.status for state in states_of(ids)] == ["success", "pending", "pending"]
        assert link.sent_ids[-1] == (ids[1],)
