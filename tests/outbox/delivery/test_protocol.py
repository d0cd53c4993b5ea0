"""The protocol under whatever may happen, in any order: hypothesis looks for a history that breaks an invariant."""

from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from django.db.models.functions import Now
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from outbox import Reject, Snooze, Unavailable, operate, registry
from outbox.delivery import atomic, breaker, chunks, non_atomic, starting
from outbox.errors import OperatorError
from outbox.maintenance import rescan
from outbox.models import ConsumerState, HandledAs, Message
from tests.harness.clock import let_pass
from tests.harness.messages import publish_message
from tests.harness.recording import RecordingLink
from tests.outbox.conftest import SLOW, empty_tables
from tests.shop.consumers import leave_effect
from tests.shop.models import Effect

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")

TILL, CALLER = "test.till", "test.caller"
TOPICS = {TILL: "test.sold", CALLER: "test.called"}
ENDS = {
    "fail": ValueError("the till is jammed"),
    "reject": Reject("not for sale"),
    "snooze": Snooze(timedelta(seconds=20)),
    "unavailable": Unavailable("the bank does not answer"),
}

consumers = st.sampled_from([TILL, CALLER])
ways = st.sampled_from(["succeed", "succeed", *ENDS])


class Protocol(RuleBasedStateMachine):
    """Publishers, workers that crash and wake up too late, a rescan, operators, and time that passes."""

    rows = Bundle("rows")
    stale = Bundle("stale")

    register_till: Callable[..., object]
    """How to make the consumer in a transaction anew; given by the test."""

    link: RecordingLink
    """The link of the rescan; given by the test."""

    way = "succeed"
    """How the handlers end at the moment."""

    def __init__(self) -> None:
        super().__init__()
        empty_tables()
        self.link.sent.clear()
        self.link.depths.clear()
        Protocol.way = "succeed"
        self.attempts: dict[int, int] = defaultdict(int)
        self.succeeded: dict[int, int] = {}

    @rule(target=rows, name=consumers, ordering_key=st.sampled_from(["", "till 1", "till 1"]), many=st.integers(1, 3))
    def publish(self, name, ordering_key, many):
        return multiple(*[(name, publish_message(TOPICS[name], ordering_key=ordering_key)) for _ in range(many)])

    @initialize(target=rows)
    def begin(self):
        return multiple(*[(name, publish_message(TOPICS[name])) for name in TOPICS])

    @rule(hinted=st.lists(rows, min_size=1, max_size=4), way=ways)
    def deliver(self, hinted, way):
        Protocol.way = way
        for name in TOPICS:
            chunks.deliver(name, [id for consumer, id in hinted if consumer == name])

    @rule(way=ways)
    def deliver_what_was_sent(self, way):
        Protocol.way = way
        for hint in self.link.sent:
            chunks.deliver(hint.consumer, hint.ids)
        self.link.sent.clear()

    @rule(target=stale, hinted=rows, room=st.integers(0, 3))
    def start_and_stop(self, hinted, room):
        return multiple(*self.start(hinted, room))

    @rule(stopped=stale, way=ways)
    def wake_up(self, stopped, way):
        Protocol.way = way
        name, fences, message = stopped
        before = {fence: self.standing(fence.id) for fence in fences}
        self.go_on(name, fences, message)
        for fence, was in before.items():
            if was[:2] != ("started", fence.attempts):
                assert self.standing(fence.id) == was

    @rule(target=stale, hinted=rows, way=ways)
    def stand_still_for_too_long(self, hinted, way):
        """A worker starts a row and is given up; another starts it again; the first goes on as if nothing had been."""
        first = self.start(hinted)
        self.time_passes(30)
        self.rescan(0, "fine")
        self.time_passes(30)
        second = self.start(hinted)
        for stopped in first:
            self.wake_up(stopped, way)
        return multiple(*first, *second)

    def start(self, hinted, room=2):
        """Start a row, and what is behind it, as a worker does; return what the worker then knows."""
        name, id = hinted
        consumer = registry.get(name)
        started = starting.start_named(consumer, [id])
        if not started:
            return []
        if consumer.atomic:
            started += starting.start_behind(consumer, started, room=room)
        return [(name, [row.fence for row in started], Message.objects.get(pk=id))]

    def standing(self, id):
        """Everything about a row that a worker could have changed."""
        left = Effect.objects.filter(message_id=id).count()
        return *Message.objects.values_list("status", "attempts", "attempt_limit", "lost").get(pk=id), left

    def go_on(self, name, fences, message):
        """Do what a worker does after it has started rows."""
        if name == TILL:
            atomic.handle(registry.get(name), fences)
        else:
            [ended] = non_atomic.make_call(registry.get(name), [message])
            if not ended.settled:
                non_atomic.settle_outside(registry.get(name), ended.report)

    @rule(depth=st.sampled_from([0, 0, 3, 50]), weather=st.sampled_from(["fine", "fine", "away", "refusing"]))
    def rescan(self, depth, weather):
        self.link.depths = dict.fromkeys(TOPICS, depth)
        self.link.away = weather == "away"
        self.link.refuses = lambda hint: weather == "refusing"
        before = dict(Message.objects.values_list("pk", "attempts"))
        rescan.rescan()
        assert dict(Message.objects.values_list("pk", "attempts")) == before

    @rule(kept=st.lists(rows, max_size=2))
    def leases_run_out_but_for(self, kept):
        """The rescan takes back some rows of a run and not the others, as if those were locked at that moment."""
        Message.objects.filter(status="started").exclude(pk__in=[id for _name, id in kept]).update(
            lease_until=Now() - timedelta(seconds=1), due_at=Now()
        )
        self.rescan(0, "fine")

    @rule(isolated=st.booleans())
    def go_row_by_row(self, isolated):
        self.register_till(isolated=isolated)

    @rule(seconds=st.sampled_from([1, 5, 11, 30, 120]))
    def time_passes(self, seconds):
        let_pass(timedelta(seconds=seconds))

    @rule(hinted=rows, act=st.sampled_from(["retry", "discard", "handle"]))
    def operator_acts(self, hinted, act):
        _name, id = hinted
        told = {"revision": Message.objects.get(pk=id).revision, "actor": "ada", "reason": "seen to"}
        try:
            if act == "retry":
                operate.retry(id, **told)
            elif act == "discard":
                operate.discard(id, **told)
            else:
                operate.mark_handled(id, outcome=HandledAs.NOT_DUE, evidence="the order was cancelled", **told)
        except OperatorError:
            assert Message.objects.filter(pk=id, exhausted_at__isnull=True).exists()

    @rule(name=consumers, on=st.booleans())
    def pause(self, name, on):
        ConsumerState.objects.get_or_create(consumer=name)
        ConsumerState.objects.filter(consumer=name).update(paused_at="2026-01-01T00:00Z" if on else None)

    @invariant()
    def attempts_never_fall(self):
        for id, attempts in Message.objects.values_list("pk", "attempts"):
            assert attempts >= self.attempts[id]
            self.attempts[id] = attempts

    @invariant()
    def success_is_final(self):
        now = dict(Message.objects.filter(status="success").values_list("pk", "attempts"))
        assert {id: now.get(id) for id in self.succeeded} == self.succeeded
        self.succeeded = now

    @invariant()
    def an_effect_happened_exactly_once_where_the_machine_says_success_and_nowhere_else(self):
        by_machine = Message.objects.filter(status="success", resolution="").order_by("pk")
        expected = list(by_machine.values_list("pk", "attempts"))
        assert sorted(Effect.objects.values_list("message_id", "attempt")) == expected

    @invariant()
    def of_what_is_started_of_a_key_one_row_holds_it_at_most_and_all_others_are_behind_that(self):
        started = Message.objects.filter(status="started", lease_until__gt=Now()).exclude(ordering_key="")
        holders = {(row.consumer, row.ordering_key): row.pk for row in started if row.holds_key}
        for row in started:
            assert holders.get((row.consumer, row.ordering_key), 0) <= row.pk

    @invariant()
    def effects_of_one_key_are_in_order(self):
        order = defaultdict(list)
        keys = dict(Message.objects.exclude(ordering_key="").values_list("pk", "consumer"))
        for id in Effect.objects.order_by("pk").values_list("message_id", flat=True):
            order[keys.get(id)].append(id)
        order.pop(None, None)
        assert list(order.values()) == [sorted(ids) for ids in order.values()]

    def teardown(self):
        """Whatever has happened: when the weather is fine again, everything comes to an end."""
        for name in TOPICS:
            self.pause(name, False)
        for _round in range(40):
            if not Message.objects.unfinished().exists():
                break
            self.time_passes(60)
            self.rescan(0, "fine")
            self.deliver_what_was_sent("succeed")
            blocking = Message.objects.exhausted().exclude(ordering_key="").values_list("pk", "consumer")
            for id, name in list(blocking):
                self.operator_acts((name, id), "discard")
        self.attempts_never_fall()
        self.success_is_final()
        self.an_effect_happened_exactly_once_where_the_machine_says_success_and_nowhere_else()
        self.effects_of_one_key_are_in_order()
        assert list(Message.objects.unfinished()) == []


def end_as_planned(message):
    """Leave an effect, then end in the way of the moment."""
    leave_effect(message)
    if Protocol.way in ENDS:
        raise ENDS[Protocol.way]


def settle_as_planned(message):
    """The same outside a transaction: the effect is committed together with the success."""
    if Protocol.way in ENDS:
        raise ENDS[Protocol.way]
    with message.settling():
        leave_effect(message)


def test_no_history_breaks_an_invariant(listen, link, configure, monkeypatch):
    monkeypatch.setattr(breaker, "TRUSTED_SECONDS", -1.0)
    configure(RESCAN_BUDGET=timedelta(minutes=1))
    till = partial(listen, end_as_planned, name=TILL, topic=TOPICS[TILL], retry=SLOW, chunk=3)
    till()
    monkeypatch.setattr(Protocol, "register_till", staticmethod(till), raising=False)
    listen(settle_as_planned, name=CALLER, topic=TOPICS[CALLER], retry=SLOW, atomic=False)
    monkeypatch.setattr(Protocol, "link", link, raising=False)
    examples = 20

    run_state_machine_as_test(
        Protocol,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            # A history that breaks something is printed as found: making it shorter takes minutes with a database.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
