"""What order per key costs, counted in pages: the same for a hundred thousand waiting messages as for a thousand."""

from typing import NamedTuple

import pytest

from outbox import Message, memory, operate
from outbox.delivery import chunks, starting
from outbox.maintenance import rescan
from tests.harness.messages import publish_message, publish_messages, set_message, state_of
from tests.harness.plans import pages_touched, query

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("transactional_db", "dispatched")]

FEW, MANY = 1_000, 100_000
KEY = "till 1"
OWN = {"id", "key"}
"""The columns that a copy of a message has of its own."""


class Waiting(NamedTuple):
    """The head of a key, the one that stands directly behind it, and the one at its very end."""

    head: int
    second: int
    last: int


@pytest.fixture
def waiting(listen):
    """Let so many messages of one key wait behind its head, after as many that were settled before."""
    till = listen(chunk=50)

    def wait(many: int) -> Waiting:
        settled = publish_message(ordering_key=KEY)
        set_message(settled, status="success", finished_at="2026-01-01T00:00Z")
        copy(settled, many)
        head, second = publish_messages(2, ordering_key=KEY)
        copy(second, many)
        query("ANALYZE outbox_message")
        return Waiting(head, second, publish_message(ordering_key=KEY))

    yield till, wait
    query("TRUNCATE outbox_message CASCADE")


def search() -> None:
    """Look for what is due; a worker whose last search was slow would rest first, and start nothing."""
    memory.forget_all()
    chunks.deliver("test.till", ())


def copy(id: int, many: int) -> None:
    """Write so many messages more that stand as this one does."""
    columns = ", ".join(f'"{field.column}"' for field in Message._meta.fields if field.name not in OWN)
    query(
        f"INSERT INTO outbox_message (key, {columns}) SELECT 'copy ' || id || ' ' || n, {columns}"
        " FROM outbox_message, generate_series(1, %s) n WHERE id = %s",
        many,
        id,
    )


def test_a_message_costs_the_same_however_many_wait_behind_the_head_of_its_key(waiting, link, one_chunk):
    till, wait = waiting

    costs = []
    for many in (FEW, MANY):
        query("TRUNCATE outbox_message CASCADE")
        head, second, last = wait(many)
        cost = {
            "publish": pages_touched(lambda: publish_message(ordering_key=KEY)),
            "start what waits": pages_touched(lambda ids=(second, last): starting.start_named(till, ids)),
        }
        free = publish_messages(10)
        cost["deliver what waits for nobody"] = pages_touched(search)
        assert {state_of(id).status for id in free} == {"success"}
        memory.forget_all()
        set_message(head, due_at="2026-01-01T00:00Z")  # the rescan sends it, however fast it came until here
        cost["rescan"] = pages_touched(rescan.rescan)
        cost["deliver the head"] = pages_touched(lambda id=head: chunks.deliver("test.till", [id]))
        costs.append(cost)

    few, many = costs
    assert {act: (few[act], many[act]) for act in few if many[act] > 2 * few[act] + 20} == {}


def test_a_failed_head_costs_the_others_the_same_however_many_wait_behind_it(waiting, link):
    till, wait = waiting

    costs = []
    for many in (FEW, MANY):
        query("TRUNCATE outbox_message CASCADE")
        head, second, last = wait(many)
        set_message(head, status="failed", finished_at="2026-01-01T00:00Z", exhausted_at="2026-01-01T00:00Z")
        cost = {
            "publish": pages_touched(lambda: publish_message(ordering_key=KEY)),
            "start what waits": pages_touched(lambda ids=(second, last): starting.start_named(till, ids)),
        }
        free = publish_messages(10)
        cost["deliver what waits for nobody"] = pages_touched(search)
        assert {state_of(id).status for id in free} == {"success"}
        cost["rescan"] = pages_touched(rescan.rescan)
        cost["let the next go"] = pages_touched(
            lambda id=head: operate.discard(id, revision=0, actor="ada", reason="not for sale")
        )
        costs.append(cost)

    few, many = costs
    assert {act: (few[act], many[act]) for act in few if many[act] > 2 * few[act] + 20} == {}
