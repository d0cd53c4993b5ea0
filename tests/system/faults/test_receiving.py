"""A real receiver at a real broker: killed, cut off, without its database, and fed with what no one can read."""

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from amqp import Message as AmqpMessage
from kombu import Connection

from tests.harness.databases import Database
from tests.harness.installation import Installation, installed, migrate
from tests.harness.postgres import Server, programs
from tests.harness.program import Program, eventually
from tests.system.conftest import BROKER

pytestmark = [pytest.mark.services, pytest.mark.processes]

RECEIVER = [sys.executable, "manage.py", "outbox_receiver"]
MORTAL = [sys.executable, "-m", "tests.harness.mortal_receiver"]
READY = "receiver ready"


class Partner:
    """Somebody who sends into the queue, by plain AMQP, and looks into it."""

    def __init__(self, broker: str, queue: str) -> None:
        self.queue = queue
        self._connection = Connection(broker)
        self._channel: Any = self._connection.channel()
        self._channel.confirm_select()
        self._channel.queue_declare(queue, durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"})

    def send(self, *ids: str, body: Any = None, type: str = "sold", **more: Any) -> None:
        """Send a message for each id; they are confirmed when this returns."""
        for id in ids:
            raw = body if isinstance(body, bytes) else json.dumps({"key": id} if body is None else body).encode()
            properties = {"delivery_mode": 2, "type": type, **({"message_id": id} if id else {}), **more}
            self._channel.basic_publish_confirm(AmqpMessage(raw, **properties), routing_key=self.queue)

    def depth(self) -> int:
        return int(self._channel.queue_declare(self.queue, passive=True).message_count)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._channel.queue_delete(self.queue)
            self._connection.close()


@pytest.fixture
def place(install) -> Iterator[tuple[Installation, Partner]]:
    """An installation without processes, and a partner who sends to it."""
    with install() as installation:
        queue = f"{installation.prefix}.partner"
        installation.environment["SHOP_RECEIVES"] = queue
        partner = Partner(BROKER, queue)
        yield installation, partner
        partner.close()


def run(
    installation: Installation, *, argv: list[str] = RECEIVER, name: str = "receiver", **environment: str
) -> Program:
    program = Program(
        name,
        argv,
        environment={**installation.environment, "LOG_LEVEL": "INFO", **environment},
        log=installation.folder / f"{name}.log",
    )
    installation.programs.append(program)
    return program


def keys(installation: Installation) -> list[str]:
    return [key for (key,) in installation.rows("SELECT key FROM outbox_message ORDER BY key")]


def quarantined(installation: Installation) -> dict[str, str]:
    return dict(installation.rows("SELECT sender_id, reason FROM outbox_quarantined ORDER BY id"))


def settled(installation: Installation, partner: Partner, many: int, *, within: float = 30) -> None:
    """Wait until so many are taken in; the receiver has then acknowledged them, or is about to."""
    eventually(lambda: len(keys(installation)) >= many, within=within, what=f"{many} are taken in")
    eventually(lambda: partner.depth() == 0, within=within, what="nothing waits at the broker")


def test_what_a_partner_sends_is_taken_in_once_and_the_queue_is_empty(place):
    installation, partner = place
    ids = [f"{number:04}" for number in range(500)]
    receiver = run(installation)
    receiver.wait_for(READY)

    partner.send(*ids, *ids[:100])
    settled(installation, partner, 500)
    status = receiver.terminate()

    assert status == 0
    assert keys(installation) == [f"partner:{id}" for id in ids]
    assert partner.depth() == 0
    assert installation.rows("SELECT taken, known, quarantined, hold FROM outbox_sourcestate") == [
        (500, 100, 0, "stopped")
    ]


def test_killed_ten_times_between_commit_and_acknowledgement_each_message_is_taken_in_once(place):
    installation, partner = place
    ids = [f"{number:04}" for number in range(300)]
    partner.send(*ids)
    deaths = 0

    for number in range(10):
        mortal = run(installation, argv=[*MORTAL, "ack"], name=f"mortal{number}")
        eventually(lambda one=mortal: not one.is_running(), within=60, what="it has ended itself")
        deaths += mortal._process.returncode == -9
    receiver = run(installation)
    settled(installation, partner, 300)
    receiver.terminate()

    assert deaths == 10
    assert keys(installation) == [f"partner:{id}" for id in ids]
    assert partner.depth() == 0
    assert quarantined(installation) == {}


def test_what_ends_its_receiver_again_and_again_goes_alone_into_quarantine(place):
    installation, partner = place
    partner.send("a", "poison", "b")
    deaths = 0

    for number in range(6):
        mortal = run(installation, argv=[*MORTAL, "topic"], name=f"mortal{number}")
        eventually(
            lambda one=mortal: not one.is_running() or quarantined(installation),
            within=60,
            what="it ends, or has judged",
        )
        if mortal.is_running():
            settled(installation, partner, 2)
            mortal.terminate()
            break
        deaths += 1

    assert 3 <= deaths <= 4
    assert quarantined(installation) == {"poison": "ends_receiver"}
    assert keys(installation) == ["partner:a", "partner:b"]


def test_what_nobody_can_read_goes_into_quarantine_and_its_neighbours_are_taken_in(place):
    installation, partner = place
    partner.send("1", "2")
    partner.send("1", body={"key": "another"})
    partner.send("", body={"no": "id"})
    partner.send("broken", body=b"{")
    partner.send("large", body=b'"' + b"x" * 300_000 + b'"')
    partner.send("unheard", type="unheard_of")
    partner.send("round", application_headers={"x-outbox-hops": 8})
    partner.send("3")

    receiver = run(installation)
    eventually(lambda: len(quarantined(installation)) == 6, within=30)
    settled(installation, partner, 3)
    receiver.terminate()

    assert keys(installation) == ["partner:1", "partner:2", "partner:3"]
    assert quarantined(installation) == {
        "1": "other_content",
        "": "no_id",
        "broken": "no_json",
        "large": "too_large",
        "unheard": "unknown_topic",
        "round": "goes_round",
    }


def test_it_stops_at_high_water_and_goes_on_by_itself(place):
    installation, partner = place
    partner.send(*[f"{number:04}" for number in range(700)])

    receiver = run(installation, SHOP_HIGH_WATER="100")
    receiver.wait_for("too many of its messages are unfinished")
    stopped_at = len(keys(installation))
    installation.rows("UPDATE outbox_message SET finished_at = now(), status = 'success'")
    receiver.wait_for("held up by: nothing")
    eventually(lambda: len(keys(installation)) > stopped_at, within=20)
    receiver.terminate()

    assert 100 <= stopped_at <= 300
    assert len(keys(installation)) + partner.depth() == 700


def test_a_full_quarantine_stops_it_and_what_there_is_no_room_for_is_kept(place):
    installation, partner = place
    receiver = run(installation, SHOP_QUARANTINE_LIMIT="2500")
    receiver.wait_for(READY)

    partner.send("bad 1", "bad 2", "bad 3", "bad 4", body=b"?" * 1000)
    receiver.wait_for("the quarantine is full")
    partner.send("good")
    before = quarantined(installation)
    installation.rows("UPDATE outbox_quarantined SET state = 'discarded', settled_at = now() WHERE sender_id = 'bad 1'")
    eventually(lambda: len(quarantined(installation)) == 3, within=20)
    installation.rows("UPDATE outbox_quarantined SET state = 'discarded', settled_at = now()")
    eventually(lambda: len(quarantined(installation)) == 4, within=20)
    settled(installation, partner, 1)
    receiver.terminate()

    assert list(before) == ["bad 1", "bad 2"]
    assert keys(installation) == ["partner:good"]


def test_while_its_database_is_away_nothing_is_acknowledged_and_it_goes_on_by_itself(tmp_path_factory, request):
    if programs() is None:
        pytest.skip("PostgreSQL's programs are not installed here, so no server of our own can be started")
    place = tempfile.TemporaryDirectory()
    request.addfinalizer(place.cleanup)
    Path(place.name).chmod(0o755)
    home = Path(place.name, "server")
    home.mkdir()
    server = Server(home)
    request.addfinalizer(server.close)
    database = Database(server.url, "receiving", durable=False)
    prefix = f"receiving-{Path(place.name).name}"
    with installed(database, broker=BROKER, prefix=prefix, folder=tmp_path_factory.mktemp("logs")) as installation:
        migrate(installation.environment)
        installation.environment["SHOP_RECEIVES"] = f"{prefix}.partner"
        partner = Partner(BROKER, f"{prefix}.partner")
        request.addfinalizer(partner.close)
        receiver = run(installation)
        receiver.wait_for(READY)
        partner.send(*[f"a{number:03}" for number in range(100)])
        settled(installation, partner, 100)

        database.close()
        server.stop()
        partner.send(*[f"b{number:03}" for number in range(300)])
        receiver.wait_for("our database does not take it")
        assert receiver.is_running()
        server.start()
        receiver.wait_for("held up by: nothing")
        settled(installation, partner, 400)
        status = receiver.terminate()

        assert status == 0
        assert len(keys(installation)) == len(set(keys(installation))) == 400
        assert partner.depth() == 0
        assert quarantined(installation) == {}
        assert installation.rows("SELECT taken, known FROM outbox_sourcestate") == [(400, 0)]
