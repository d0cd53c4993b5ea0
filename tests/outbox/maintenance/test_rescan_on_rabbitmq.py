"""The rescan on a real RabbitMQ."""

from datetime import timedelta

import pytest
from django.core.checks import run_checks

from outbox import memory
from outbox.broker.queues import queue_name
from outbox.conf import conf
from outbox.delivery import chunks
from outbox.maintenance import rescan
from outbox.maintenance.rescan import RescanResult
from outbox.monitoring.findings import What
from outbox.monitoring.health import health
from tests.harness.clock import let_pass
from tests.harness.messages import MessageState, publish_message, publish_messages, state_of, states_of
from tests.harness.ports import free_port
from tests.outbox.broker.hints import bodies

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("rabbit")]


@pytest.fixture
def _own_link():
    yield
    rescan.thread_connection().abandon()
    memory.forget_all()


@pytest.mark.usefixtures("transactional_db", "dispatched", "_own_link")
class TestTheRescanOnRabbitMQ:
    """The whole way: a row, a hint in a real queue, the row delivered."""

    def test_what_is_due_lies_in_the_queue_and_is_delivered_from_there(self, listen, rabbit):
        listen(chunk=2)
        ids = publish_messages(3)
        let_pass(timedelta(seconds=5))

        sweep = rescan.rescan()
        hints = bodies(rabbit)
        for taken in hints:
            chunks.deliver(*taken)

        assert sweep == RescanResult(sent=3)
        assert hints == [["test.till", ids[:2]], ["test.till", ids[2:]]]
        assert states_of(ids) == [MessageState("success", attempts=1, attempt_limit=3)] * 3

    def test_a_full_queue_gets_nothing_more(self, listen, rabbit):
        listen(chunk=1, high_water=3)
        ids = publish_messages(5)
        let_pass(timedelta(seconds=5))

        sweeps = [rescan.rescan(), rescan.rescan()]

        assert sweeps == [RescanResult(sent=3), RescanResult()]
        assert [entry.sends for entry in states_of(ids)] == [1, 1, 1, 0, 0]

    def test_a_broker_that_is_away_costs_nothing_and_the_next_pass_sends(self, listen, broker_at, rabbit, monkeypatch):
        listen()
        id = publish_message()
        let_pass(timedelta(seconds=5))
        broker_at(free_port())
        away = rescan.rescan()
        before = state_of(id)
        monkeypatch.delenv("CELERY_BROKER_WRITE_URL")

        sweep = rescan.rescan()

        assert away == RescanResult(broker_away=True)
        assert before == MessageState("pending", attempts=0, attempt_limit=3)
        assert sweep == RescanResult(sent=1)
        assert bodies(rabbit) == [["test.till", [id]]]

    def test_a_queue_deleted_between_two_passes_is_made_again(self, listen, rabbit):
        listen()
        id = publish_message()
        let_pass(timedelta(seconds=5))
        rescan.rescan()
        rabbit.queue_delete(queue_name("test.till"))
        let_pass(timedelta(seconds=10))

        sweep = rescan.rescan()

        assert sweep == RescanResult(sent=1)
        assert bodies(rabbit) == [["test.till", [id]]]

    def test_a_left_over_queue_is_named_by_health_and_check_and_the_other_consumers_get_their_hints(
        self, listen, rabbit
    ):
        listen(name="test.a")
        listen(name="test.b")
        leftover = queue_name("test.a")
        rabbit.queue_declare(leftover, durable=True, auto_delete=False)
        publish_message()
        let_pass(timedelta(seconds=5))

        sweep = rescan.rescan()

        assert (sweep.sent, sweep.broker_away, list(sweep.refused)) == (1, False, [leftover])
        assert len(bodies(rabbit, "test.b")) == 1
        command = f"rabbitmqctl -p '/' delete_queue '{leftover}'"
        [finding] = [finding for finding in health().findings if finding.what is What.QUEUE]
        assert command in finding.sentence
        [warning] = run_checks(tags=["database"], databases=[conf().database])
        assert (warning.id, command in warning.msg) == ("outbox.W031", True)
        rabbit.queue_delete(leftover)
        let_pass(timedelta(seconds=5))
        assert rescan.rescan().refused == {}
        assert run_checks(tags=["database"], databases=[conf().database]) == []
