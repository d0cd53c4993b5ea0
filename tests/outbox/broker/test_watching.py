"""A look at the whole broker, by AMQP and by the management API of a RabbitMQ node of our own."""

import socket
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from amqp import Message as Letter

from outbox.broker.management import SECONDS, ManagementSilent, management_of
from outbox.broker.queues import celery_app, control_queue, hint_queue, queue_name
from outbox.broker.watching import BrokerLook, BrokerWatch, QueueSeen
from tests.harness.node import Node, installed_here
from tests.harness.ports import free_port
from tests.harness.program import eventually

pytestmark = [pytest.mark.services]

TILL, GONE = "test.till", "test.gone"


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A RabbitMQ node of our own, with the management plugin."""
    if not installed_here():
        pytest.skip("rabbitmq-server is not installed here, so no node of our own can be started")
    own = Node(tmp_path_factory.mktemp("node"), name=f"watched{free_port()}@localhost", management=True)
    yield own
    own.close()


@pytest.fixture
def at(monkeypatch, configure):
    """Return a function that sends us to a broker and to a management API."""

    def send(broker, management):
        monkeypatch.setitem(celery_app().conf, "broker_write_url", broker)
        configure(BROKER_MANAGEMENT=management)

    return send


@pytest.fixture
def watch():
    watch = BrokerWatch()
    yield watch
    watch.abandon()


@pytest.fixture
def channel(node):
    with celery_app().connection_for_write(node.url) as connection:
        channel = connection.channel()
        yield channel


NAMES = [queue_name(TILL), queue_name(GONE), control_queue().name]


def seen_of(look: BrokerLook, name: str) -> QueueSeen:
    return next(one for one in look.queues if one.name == name)


def test_what_waits_is_held_and_lives_on_one_node_is_seen(node, at, watch, channel):
    hint_queue(TILL)(channel).declare()
    for _time in range(3):
        channel.basic_publish(Letter("hint"), routing_key=queue_name(TILL))
    eventually(lambda: channel.basic_get(queue_name(TILL)), within=10)
    at(node.url, node.management_url)

    def held():
        look = watch.look(NAMES)
        return look if seen_of(look, queue_name(TILL)).unacked == 1 else None

    look = eventually(held, within=20, what="the statistics of the management API")

    # Whoever holds a message of a quorum queue by basic.get counts as a taker of it.
    assert seen_of(look, queue_name(TILL)) == QueueSeen(
        queue_name(TILL), ready=2, takers=1, unacked=1, is_quorum=True, members=1, online=1
    )
    assert (look.away, look.silent, look.blocked) == ("", "", "")
    assert look.management == node.management_url.replace("guest:guest@", "")
    assert [(one.name, one.is_running, one.memory_alarm) for one in look.nodes] == [(node.name, True, False)]
    assert look.nodes[0].memory
    assert look.nodes[0].disk_limit
    assert look.version
    # A queue that is not there closes the channel, and hides none of the others.
    assert queue_name(GONE) not in [one.name for one in look.queues]


@pytest.mark.parametrize("management", ["asked", "off"])
def test_an_alarm_is_seen_with_its_cause_and_is_over_when_it_is_over(node, at, watch, management):
    at(node.url, node.management_url if management == "asked" else "off")
    assert watch.look(NAMES).blocked == ""

    node.control("set_vm_memory_high_watermark", "0.00001")
    try:
        look = eventually(lambda: (one := watch.look(NAMES)).blocked and one, within=20, what="the alarm")
        assert "block" in look.blocked or look.blocked == "low on memory"  # as the release has it
        assert look.away == ""
        if management == "asked":
            alarmed = eventually(lambda: watch.look(NAMES).nodes[0].memory_alarm, within=20)
            assert alarmed
    finally:
        node.control("set_vm_memory_high_watermark", "0.4")

    assert eventually(lambda: watch.look(NAMES).blocked == "", within=20, what="the end of the alarm")


def test_without_the_management_api_the_look_tells_what_amqp_does(node, at, watch, channel):
    hint_queue(TILL)(channel).declare()
    at(node.url, f"http://127.0.0.1:{free_port()}")

    look = watch.look(NAMES)

    assert "refused" in look.silent
    assert look.nodes == ()
    found = seen_of(look, queue_name(TILL))
    assert (found.unacked, found.members) == (None, None)
    assert found.ready is not None


def test_a_user_without_the_tag_is_told_which_it_needs(node, at, watch):
    node.control("add_user", "plain", "secret")
    node.control("set_permissions", "plain", ".*", ".*", ".*")
    at(node.url, node.management_url.replace("guest:guest", "plain:secret"))

    look = watch.look(NAMES)

    assert 'needs the tag "monitoring"' in look.silent
    assert "secret" not in repr(look)


def test_a_broker_that_is_away_is_told_and_raises_nothing(at, watch):
    at(f"amqp://guest:guest@127.0.0.1:{free_port()}//", "off")

    look = watch.look(NAMES)

    assert "refused" in look.away
    assert look.queues == ()


def test_a_connection_that_was_cut_meanwhile_is_opened_anew(node, at, watch):
    at(node.url, "off")
    assert watch.look(NAMES).away == ""

    node.control("close_all_connections", "test")

    assert watch.look(NAMES).away == ""


class Liar(BaseHTTPRequestHandler):
    """Answers as its server is told to."""

    def do_GET(self):
        self.server.asked.append(self.path)
        status, body = self.server.answer
        self.send_response(status)
        self.send_header("Location", "http://127.0.0.1:1/")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args):
        """Say nothing."""


@pytest.fixture
def liar():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, b"<html>hello</html>"), "no JSON"),
        ((200, b"[" * 100_000), "no JSON"),
        ((200, b'{"items": 7}'), "not RabbitMQ's management API"),
        ((200, b"[1, 2]"), "not RabbitMQ's management API"),
        ((302, b""), "302"),
        ((500, b""), "500"),
        ((200, b" " * (5 * 1024 * 1024)), "bytes"),
    ],
)
def test_what_lies_is_silent(rabbit, at, watch, liar, answer, said):
    liar.answer = answer
    at(celery_app().conf.broker_url, f"http://127.0.0.1:{liar.server_port}")

    look = watch.look(NAMES)

    assert said in look.silent
    assert len(liar.asked) == 1
    assert look.away == ""


def test_figures_that_are_none_are_not_known(rabbit, at, watch, liar):
    name = queue_name(TILL)
    hint_queue(TILL)(rabbit).declare()
    queue = f'{{"name": "{name}", "messages_unacknowledged": "many", "members": 3, "type": ["quorum"]}}'
    liar.answer = 200, f'{{"page_count": -1, "items": [{queue}]}}'.encode()
    at(celery_app().conf.broker_url, f"http://127.0.0.1:{liar.server_port}")

    look = watch.look([name])

    assert (seen_of(look, name).unacked, seen_of(look, name).members, seen_of(look, name).is_quorum) == (
        None,
        None,
        False,
    )


def test_an_answer_that_drips_is_cut_off_at_the_deadline():
    def drip(listener):
        with closing(listener.accept()[0]) as connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            try:
                for _second in range(100):
                    connection.sendall(b" ")
                    time.sleep(0.1)
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drip, args=(listener,), daemon=True).start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        management = management_of(address, celery_app().connection_for_write())
        since = time.monotonic()

        with pytest.raises(ManagementSilent, match="no whole answer"):
            management.ask("nodes")

        assert time.monotonic() - since < SECONDS + 1.5


@pytest.mark.parametrize(
    ("setting", "broker", "address", "user", "password"),
    [
        ("", "amqp://ann:geheim@rabbit.example//", "http://rabbit.example:15672", "ann", "geheim"),
        ("", "amqp://ann:geheim@rabbit.example:5672//", "http://rabbit.example:15672", "ann", "geheim"),
        ("", "amqps://ann:geheim@rabbit.example//", "https://rabbit.example:15671", "ann", "geheim"),
        ("https://m.example/rabbit/", "amqp://ann:geheim@r//", "https://m.example:15671/rabbit", "ann", "geheim"),
        ("http://bob:a%40b@m.example:80", "amqp://ann:g@r//", "http://m.example:80", "bob", "a@b"),
    ],
)
def test_where_it_is_asked_and_as_whom(setting, broker, address, user, password):
    asked = management_of(setting, celery_app().connection_for_write(broker))

    assert (asked.address, asked.user, asked.password) == (address, user, password)
    assert password not in repr(asked)


def test_where_it_is_off_nobody_is_asked():
    assert management_of("off", celery_app().connection_for_write()) is None
