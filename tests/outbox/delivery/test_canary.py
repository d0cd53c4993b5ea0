"""The breaker: when the world behind a consumer is down, one row at a time asks whether it is back."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox.delivery import breaker, chunks
from outbox.delivery.breaker import Circuit
from outbox.maintenance import rescan
from outbox.maintenance.rescan import RescanResult
from outbox.models import ConsumerState
from tests.harness.clock import let_pass
from tests.harness.messages import MessageState, publish_message, publish_messages, state_of, states_of
from tests.harness.threads import at_once

NEW = MessageState("pending", attempts=0, attempt_limit=3)
DONE = MessageState("success", attempts=1, attempt_limit=3)
FIVE = timedelta(seconds=5)


def seconds(number: int) -> timedelta:
    return timedelta(seconds=number)


@pytest.mark.parametrize(
    ("before", "row_", "down", "after"),
    [
        (Circuit(), 1, False, Circuit()),
        (Circuit(), 1, True, Circuit(unavailable=(1,))),
        (Circuit(unavailable=(1,)), 1, True, Circuit(unavailable=(1,))),
        (Circuit(unavailable=(1,)), 2, True, Circuit(unavailable=(1, 2))),
        (Circuit(unavailable=(1, 2)), 3, False, Circuit()),
        (Circuit(unavailable=(1, 2)), 3, True, Circuit(open=True, unavailable=(1, 2, 3), probe_after=FIVE)),
        (Circuit(open=True, probe_after=FIVE), 4, False, Circuit(open=True, probe_after=FIVE)),
        (Circuit(open=True, probe_after=FIVE), 4, True, Circuit(open=True, probe_after=FIVE)),
        (Circuit(open=True, canary=4, probe_after=FIVE), 4, False, Circuit()),
        (Circuit(open=True, canary=4, probe_after=FIVE), 4, True, Circuit(open=True, probe_after=seconds(10))),
        (Circuit(open=True, canary=4, probe_after=seconds(20)), 4, True, Circuit(open=True, probe_after=seconds(30))),
        (Circuit(open=True, canary=4, probe_after=seconds(30)), 4, True, Circuit(open=True, probe_after=seconds(30))),
    ],
)
def test_what_a_row_makes_of_the_breaker(before, row_, down, after):
    assert before.after(row_, down=down, first_probe=FIVE) == after


@given(history=st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=30))
def test_a_breaker_opens_only_after_three_different_rows_in_a_row(history):
    circuit = Circuit()
    in_a_row: set[int] = set()

    for number, down in history:
        circuit = circuit.after(number, down=down, first_probe=FIVE)
        in_a_row = in_a_row | {number} if down else set()
        if circuit.open:
            break

    assert circuit.open == (len(in_a_row) >= 3)


@pytest.fixture
def world(listen, monkeypatch, transactional_db, dispatched, one_chunk):
    """A consumer whose world may be down, and a process that looks at the table each time."""
    monkeypatch.setattr(breaker, "TRUSTED_SECONDS", -1.0)
    world = World()
    listen(world.handle, chunk=1)
    return world


class World:
    """What the consumer needs, up or down."""

    def __init__(self) -> None:
        self.raises: type[Exception] | None = None
        self.asked: list[int] = []

    def handle(self, message):
        self.asked.append(message.pk)
        if self.raises:
            raise self.raises("the bank does not answer")


def state() -> tuple:
    return ConsumerState.objects.values_list("breaker", "canary", "probe_seconds").get(consumer="test.till")


def go_down(world, *ids: int) -> None:
    from outbox import Unavailable

    world.raises = Unavailable
    for id in ids:
        chunks.deliver("test.till", [id])


def test_three_rows_in_a_row_that_say_unavailable_open_the_breaker(world):
    one, two, three, four = publish_messages(4)
    go_down(world, one, two)
    before = state()

    go_down(world, three, four)

    assert before == ("closed", None, 0)
    assert state() == ("open", None, 5)
    assert world.asked == [one, two, three]
    assert state_of(four) == NEW


def test_one_row_that_says_so_again_and_again_does_not(world):
    id = publish_message()

    for _ in range(5):
        go_down(world, id)
        let_pass(seconds(60))

    assert state() == ("closed", None, 0)
    assert state_of(id)[:3] == ("pending", 5, 8)


def test_another_outcome_in_between_starts_the_count_anew(world):
    one, two, fine, three = publish_messages(4)
    go_down(world, one, two)
    world.raises = ValueError
    chunks.deliver("test.till", [fine])

    go_down(world, three)

    assert state() == ("closed", None, 0)


def test_behind_an_open_breaker_the_rescan_sends_one_canary_per_probe(world, link):
    ids = publish_messages(6)
    go_down(world, *ids[:3])
    let_pass(seconds(1))
    early = rescan.rescan()
    let_pass(seconds(5))

    sweeps = [rescan.rescan(), rescan.rescan()]

    assert early == RescanResult()
    assert sweeps == [RescanResult(sent=1), RescanResult()]
    assert link.sent_ids == [(ids[3],)]
    assert state() == ("open", ids[3], 5)
    assert [entry.sends for entry in states_of(ids)] == [0] * 6


def test_only_the_canary_starts_and_its_chunk_is_not_topped_up(world, link, listen):
    ids = publish_messages(6)
    go_down(world, *ids[:3])
    let_pass(seconds(6))
    rescan.rescan()
    listen(world.handle, chunk=50)
    world.asked.clear()

    for hint in ([ids[4]], [ids[5], ids[4]], [ids[3]]):
        chunks.deliver("test.till", hint)

    assert world.asked == [ids[3]]


@pytest.mark.parametrize("outcome", [None, ValueError])
def test_any_other_outcome_of_the_canary_closes_the_breaker(world, link, outcome):
    ids = publish_messages(5)
    go_down(world, *ids[:3])
    let_pass(seconds(6))
    rescan.rescan()
    world.raises = outcome

    chunks.deliver("test.till", [ids[3]])
    sweep = rescan.rescan()

    assert state() == ("closed", None, 0)
    assert sweep.sent == 4 if outcome is None else 3
    assert {id for hint in link.sent_ids for id in hint} >= {*ids[:3], ids[4]}


def test_probes_grow_from_five_to_thirty_seconds(world, link):
    ids = publish_messages(4)
    go_down(world, *ids[:3])
    probes = []

    for _ in range(5):
        let_pass(seconds(31))
        link.sent.clear()
        rescan.rescan()
        chunks.deliver("test.till", link.sent_ids[0])
        probes.append(state()[2])

    assert probes == [10, 20, 30, 30, 30]


def test_a_canary_whose_worker_is_gone_is_followed_by_another(world, link):
    ids = publish_messages(4)
    go_down(world, *ids[:3])
    let_pass(seconds(6))
    rescan.rescan()
    let_pass(seconds(15))
    early = rescan.rescan()
    let_pass(seconds(6))

    sweep = rescan.rescan()

    assert (early, sweep) == (RescanResult(), RescanResult(sent=1))
    assert len(link.sent) == 2


def test_a_message_that_waits_for_the_world_spends_no_attempt_however_long(world, link):
    ids = publish_messages(3)
    go_down(world, *ids)

    for _ in range(20):
        let_pass(seconds(31))
        link.sent.clear()
        rescan.rescan()
        for hint in link.sent_ids:
            chunks.deliver("test.till", hint)
    world.raises = None
    for _ in range(3):
        let_pass(seconds(31))
        link.sent.clear()
        rescan.rescan()
        for hint in link.sent_ids:
            chunks.deliver("test.till", hint)

    assert [entry.status for entry in states_of(ids)] == ["success"] * 3
    assert sum(entry.attempts for entry in states_of(ids)) == 3 + 20 + 3
    assert [entry.attempt_limit - entry.attempts for entry in states_of(ids)] == [2, 2, 2]


@pytest.mark.services
def test_of_four_overlapping_rescans_one_sends_the_canary(world, link):
    ids = publish_messages(10)
    go_down(world, *ids[:3])
    let_pass(seconds(6))

    sweeps = at_once(*[rescan.rescan] * 4)

    assert sum(sweep.sent for sweep in sweeps) == 1
    assert len(link.sent) == 1


@pytest.mark.services
def test_rows_that_say_unavailable_at_once_open_the_breaker_once(world):
    from outbox import Unavailable

    world.raises = Unavailable
    ids = publish_messages(8)

    at_once(*[lambda part=part: [chunks.deliver("test.till", [id]) for id in part] for part in (ids[:4], ids[4:])])

    assert state() == ("open", None, 5)
