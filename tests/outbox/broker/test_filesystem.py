"""The embedded broker: nothing half-written, nothing twice, nothing that blocks."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kombu import Connection, Exchange, Producer, Queue
from kombu.exceptions import ChannelError
from kombu.transport.virtual.exchange import FanoutExchange

QUEUE = "makegood.awards.issue_points"
HERE = Path(__file__).resolve()
WRITER, READER = HERE.with_name("file_writer.py"), HERE.with_name("file_reader.py")


def connect(folder):
    return Connection(transport="outbox.broker.filesystem:Transport", transport_options={"folder": str(folder)})


def declare(channel, name=QUEUE):
    Queue(name, exchange=Exchange(""), routing_key=name)(channel).declare()


def publish(channel, body, *, queue=QUEUE, mandatory=False):
    Producer(channel, auto_declare=False).publish(body, routing_key=queue, mandatory=mandatory)


def read_all(channel, queue=QUEUE):
    bodies = []
    while message := channel.basic_get(queue, no_ack=True):
        bodies.append(message.payload)
    return bodies


def test_messages_come_out_in_the_order_they_went_in(tmp_path):
    with connect(tmp_path / "not" / "there" / "yet") as connection:
        channel = connection.channel()
        declare(channel)

        for number in range(50):
            publish(channel, {"number": number})

        assert read_all(channel) == [{"number": number} for number in range(50)]


def test_a_passive_declare_answers_with_the_depth_and_a_missing_queue_is_an_error(tmp_path):
    with connect(tmp_path) as connection:
        channel = connection.channel()

        with pytest.raises(ChannelError, match=r"no queue 'makegood\.nobody'"):
            channel.queue_declare(queue="makegood.nobody", passive=True)

        declare(channel)
        publish(channel, 1)
        publish(channel, 2)
        assert channel.queue_declare(queue=QUEUE, passive=True).message_count == 2


def test_queues_whose_names_begin_alike_do_not_mix(tmp_path):
    names = ["a", "a.b", "a.b-c", "a.b.msg", "a/b", "worker@host.celery.pidbox", "..", "中"]
    with connect(tmp_path) as connection:
        channel = connection.channel()

        for name in names:
            declare(channel, name)
            publish(channel, name, queue=name)

        assert {name: read_all(channel, name) for name in names} == {name: [name] for name in names}


def test_a_message_for_a_queue_that_is_gone_is_refused_when_mandatory_and_dropped_otherwise(tmp_path):
    with connect(tmp_path) as connection:
        channel = connection.channel()
        declare(channel)
        publish(channel, "old")

        channel.queue_delete(QUEUE)
        publish(channel, "dropped")
        with pytest.raises(ChannelError, match="NO_ROUTE"):
            publish(channel, "refused", mandatory=True)

        declare(channel)
        assert read_all(channel) == []


def test_files_that_a_killed_writer_left_are_neither_counted_nor_read(tmp_path):
    with connect(tmp_path) as connection:
        channel = connection.channel()
        declare(channel)

        (tmp_path / "writing" / "left-behind").write_text('{"body": "ha')

        assert channel.queue_declare(queue=QUEUE, passive=True).message_count == 0
        assert read_all(channel) == []


def test_an_empty_file_after_a_power_failure_does_not_block_the_queue(tmp_path):
    with connect(tmp_path) as connection:
        channel = connection.channel()
        declare(channel)
        [folder] = (tmp_path / "queues").iterdir()
        (folder / "0").write_bytes(b"")

        publish(channel, "after it")

        assert read_all(channel) == ["after it"]


def test_what_was_taken_and_not_acknowledged_is_put_back_when_the_channel_closes(tmp_path):
    with connect(tmp_path) as connection:
        channel = connection.channel()
        declare(channel)
        publish(channel, "work")

        assert channel.basic_get(QUEUE).payload == "work"
        channel.close()

        assert read_all(connection.channel()) == ["work"]


def test_a_fanout_reaches_the_queues_that_another_process_bound(tmp_path):
    exchange = Exchange("everyone", type=FanoutExchange.type)
    with connect(tmp_path) as one, connect(tmp_path) as other:
        channel = one.channel()
        for name in ("left", "right"):
            Queue(name, exchange=exchange)(channel).declare()

        sender = other.channel()
        Producer(sender, exchange=exchange).publish("hello")
        assert [read_all(channel, name) for name in ("left", "right")] == [["hello"], ["hello"]]

        channel.queue_delete("left")
        Producer(sender, exchange=exchange).publish("again")
        assert read_all(channel, "right") == ["again"]
        assert not channel._has_queue("left")


@pytest.mark.processes
def test_two_writers_and_two_readers_lose_double_and_tear_nothing(tmp_path):
    with connect(tmp_path) as connection:
        declare(connection.channel())
    count = 1_500

    readers = [start(READER, tmp_path, QUEUE) for _ in range(2)]
    writers = [start(WRITER, tmp_path, QUEUE, name, count) for name in ("one", "two")]
    for writer in writers:
        assert writer.wait(60) == 0
    read = [[json.loads(line) for line in reader.communicate(timeout=60)[0].splitlines()] for reader in readers]

    everything = [tuple(message) for reader in read for message in reader]
    assert sorted(everything) == sorted((name, number) for name in ("one", "two") for number in range(count))
    assert all(len(reader) > 0 for reader in read)
    for reader in read:
        for name in ("one", "two"):
            numbers = [number for writer, number in reader if writer == name]
            assert numbers == sorted(numbers)


@pytest.mark.processes
def test_readers_that_are_killed_block_nobody_and_lose_at_most_what_they_had_taken(tmp_path):
    with connect(tmp_path) as connection:
        declare(connection.channel())
    writer = start(WRITER, tmp_path, QUEUE, "one", 2_000)

    killed = []
    for _ in range(5):
        reader = start(READER, tmp_path, QUEUE)
        time.sleep(0.4)
        os.kill(reader.pid, signal.SIGKILL)
        killed += reader.communicate(timeout=60)[0].splitlines()
    last = start(READER, tmp_path, QUEUE)
    assert writer.wait(60) == 0
    rest = last.communicate(timeout=60)[0].splitlines()

    numbers = [json.loads(line)[1] for line in [*killed, *rest]]
    assert len(numbers) == len(set(numbers)) >= 2_000 - 5
    assert [*(tmp_path / "queues").rglob("*-*")] == []


def start(script, *arguments):
    return subprocess.Popen(
        [sys.executable, str(script), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=HERE.parents[3],
        env={**os.environ, "PYTHONPATH": str(HERE.parents[3])},
    )
