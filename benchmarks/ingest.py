"""How fast a receiver takes in what others have sent, beside a bare loop that writes the same rows in batches.

The messages wait in a durable quorum queue. Then the real receiver is started, and its rate counts from the first batch
that it has committed to the last. No worker runs. The bare loop is plain SQL by psycopg2 in one process: as many rows
into the same table, 200 in a statement, each statement a transaction; it reads no broker, parses nothing, and knows no
id again. Both are measured in each round, and commits wait for the disk.
"""

import contextlib
import json
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
from amqp import Message
from psycopg2.extras import execute_values

from benchmarks.broker import delete_queues_and_exchanges, open_channel
from benchmarks.contestant import RoundFailed
from benchmarks.environment import broker_url, database_server_url
from benchmarks.measurements import Measurement, Options, Ratio, measure_in_turns, ratios_by_round
from tests.harness.databases import Database
from tests.harness.installation import Installation, installed, migrate
from tests.harness.program import Program

PART = "ingest"
MESSAGES = 50_000, 15_000
"""Messages of a round, in full and quick."""
BATCH = 200
ENOUGH = 5_000
"""Messages a second that are enough, however fast the bare loop is."""
OF_BARE = 0.3
POLL_SECONDS = 0.05
TIMEOUT_SECONDS = 120.0
OURS, BARE = "Makegood", "bare INSERT loop"
TABLES = "outbox_message, outbox_takenid, outbox_sourcestate, outbox_quarantined, outbox_inhand"
ROWS = """
INSERT INTO outbox_message (topic, consumer, key, ordering_key, digest, attempt_limit, currency, payload, headers,
    created_at, not_before, due_at, expires_at, status, resolution, worker, last_error, failure, attempts, lost, sends,
    revision)
VALUES %s
"""
ROW = """(%s, 'shop.book', %s, '', %s, 8, '', %s::jsonb, '{}'::jsonb, now(), now(), now() + interval '5 s',
    now() + interval '7 days', 'pending', '', '', '', '', 0, 0, 0, 0)"""


def run(options: Options) -> list[Ratio]:
    """Let the receiver and the bare loop write in turns, and return the ratios."""
    messages = options.pick(*MESSAGES)
    found = {name: [Measurement(PART, name, "messages taken in", "/s", work=messages)] for name in (OURS, BARE)}
    with _place() as place:

        def measure(name: str) -> list[float]:
            place.rows(f"TRUNCATE {TABLES} CASCADE")
            return [receive(place, messages) if name == OURS else insert(place, messages)]

        measure_in_turns(found, measure, rounds=options.rounds, warm_up=0)
    [ours], [bare] = found[OURS], found[BARE]
    for measurement in (ours, bare):
        measurement.print_json()
    return compare(ours, bare)


def compare(ours: Measurement, bare: Measurement) -> list[Ratio]:
    """Return the receiver beside the bare loop, and beside what is required of it, which is the less of two."""
    figures = f"{ours.median:,.0f}/s, {bare.median:,.0f}/s"
    wanted = [min(ENOUGH, OF_BARE * rate) for rate in bare.rounds]
    over_wanted = [rate / least for rate, least in zip(ours.rounds, wanted, strict=True)]
    return [
        Ratio(PART, "taking in over a bare batched INSERT loop", ratios_by_round(ours, bare), figures=figures),
        Ratio(PART, f"taking in over the less of {ENOUGH}/s and {OF_BARE} of that loop", over_wanted, at_least=1.0),
    ]


def receive(place: Installation, messages: int) -> float:
    """Send the messages, start the receiver, and return how many a second it took in."""
    queue = place.environment["SHOP_RECEIVES"]
    send(place.broker, queue, messages)
    receiver = Program(
        "receiver",
        [sys.executable, "manage.py", "outbox_receiver"],
        environment=place.environment,
        log=place.folder / "receiver.log",
    )
    place.programs.append(receiver)
    try:
        first, last = _watch(place, receiver, messages)
    finally:
        receiver.end()
    if quarantined := place.count("SELECT count(*) FROM outbox_quarantined"):
        raise RoundFailed(f"{quarantined} messages were quarantined", ours=True)
    if (written := place.count("SELECT count(*) FROM outbox_message")) != messages:
        raise RoundFailed(f"{written} of {messages} messages were written", ours=True)
    return (messages - first[1]) / (last - first[0])


def send(broker: str, queue: str, messages: int) -> None:
    """Put the messages into the queue, and wait until all are there."""
    with open_channel(broker) as channel:
        channel.queue_declare(queue, durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"})
        channel.queue_purge(queue)
        for number in range(messages):
            body = json.dumps({"order": number, "amount": "19.90", "currency": "EUR", "customer": f"customer-{number}"})
            message = Message(body, message_id=f"order-{number}", type="sold", delivery_mode=2)
            channel.basic_publish(message, routing_key=queue)
        until = time.monotonic() + TIMEOUT_SECONDS
        while channel.queue_declare(queue, passive=True).message_count < messages:
            if time.monotonic() > until:
                raise RoundFailed("the broker did not take the messages in time", ours=False)
            time.sleep(POLL_SECONDS)


def insert(place: Installation, messages: int) -> float:
    """Write as many rows by a bare loop, and return how many a second."""
    connection = psycopg2.connect(place.database.url)
    rows: list[tuple[Any, ...]] = []
    for number in range(messages):
        payload = {"order": number, "amount": "19.90", "currency": "EUR", "customer": f"customer-{number}"}
        rows.append(("shop.sold", f"partner:order-{number}", secrets.token_hex(16), json.dumps(payload)))
    began = time.monotonic()
    with contextlib.closing(connection), connection.cursor() as cursor:
        for start in range(0, messages, BATCH):
            execute_values(cursor, ROWS, rows[start : start + BATCH], template=ROW, page_size=BATCH)
            connection.commit()
    return messages / (time.monotonic() - began)


def _watch(place: Installation, receiver: Program, messages: int) -> tuple[tuple[float, int], float]:
    """Return when how many were there at first, and when all were."""
    until, first = time.monotonic() + TIMEOUT_SECONDS, (0.0, 0)
    while True:
        rows = place.rows("SELECT taken FROM outbox_sourcestate")
        taken, now = (rows[0][0] if rows else 0), time.monotonic()
        if taken and not first[1]:
            first = now, taken
        if taken >= messages:
            return first, now
        if now > until or not receiver.is_running():
            raise RoundFailed(f"{taken} of {messages} were taken in:\n{receiver.said()[-2000:]}", ours=True)
        time.sleep(POLL_SECONDS)


@contextlib.contextmanager
def _place() -> Iterator[Installation]:
    """A database and a queue for the receiver, which are gone afterwards."""
    name = f"bench_ingest_{secrets.token_hex(3)}"
    with tempfile.TemporaryDirectory(prefix=name) as folder:
        database = Database(database_server_url(), name)
        with installed(database, broker=broker_url(), prefix=name, folder=Path(folder)) as place:
            place.environment["SHOP_RECEIVES"] = f"{name}.partner"
            migrate(place.environment)
            try:
                yield place
            finally:
                queues = [place.environment["SHOP_RECEIVES"], f"{name}.shop.book", f"{name}.dead"]
                delete_queues_and_exchanges(place.broker, queues)
