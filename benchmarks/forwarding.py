"""How fast messages are forwarded to an exchange: written down as confirmed, two worker processes.

Both sides hand over what was committed while nothing ran: Makegood to an exchange with a queue that nobody consumes,
the peer its tasks to their queue. Both wait for the broker's confirms. Beside them stand the bulk drain of the same
run, which does the same with rows and hands nothing over, and what a bare loop of confirms reaches on this machine.
The bound is against that loop: how far a forward stays behind the bulk drain is the broker's share of the processors.
"""

import json
import time
from typing import Any

import amqp
from kombu import Connection

from benchmarks.broker import open_channel
from benchmarks.contestant import Contestant
from benchmarks.contestants import BULK, FORWARDED, FORWARDING, OUTBOX_RELAY
from benchmarks.drain import drain
from benchmarks.environment import broker_url, set_up_contestants
from benchmarks.measurements import Measurement, Options, Ratio, measure_in_turns, ratios_by_round, rounded

PART = "forwarding"
TIMEOUT_SECONDS = 90.0
MESSAGES = {FORWARDING.name: (20_000, 10_000), BULK.name: (20_000, 10_000), OUTBOX_RELAY.name: (4_000, 2_000)}
"""Messages of a round, in full and quick."""
RAW_MESSAGES = 20_000
RAW_OUTSTANDING = 500


def run(options: Options) -> list[Ratio]:
    """Forward in turns, and return how many times faster Makegood is than the peer, and than its own bulk drain."""
    work = {name: options.pick(*messages) for name, messages in MESSAGES.items()}
    with set_up_contestants([FORWARDING, BULK, OUTBOX_RELAY]) as contestants:
        measurements = {
            contestant: [Measurement(PART, contestant.name, "messages", "messages/s", work=work[contestant.name])]
            for contestant in contestants
        }
        raw = Measurement(PART, "raw confirms", "messages", "messages/s", work=RAW_MESSAGES)

        def measure(contestant: Contestant) -> list[float]:
            if contestant.name == BULK.name:
                raw.rounds.append(confirm_raw(f"{contestant.run}.raw"))
                return [drain(contestant, work[contestant.name])]
            return [forward(contestant, work[contestant.name])]

        measure_in_turns(measurements, measure, rounds=options.rounds, warm_up=0, alternate=True)
    found = {measurement.contestant: measurement for [measurement] in measurements.values()}
    for measurement in (*found.values(), raw):
        measurement.print_json()
    ours = found[FORWARDING.name]
    bounds = [(found[OUTBOX_RELAY.name], 8.0), (raw, 0.15), (found[BULK.name], None)]
    return [
        Ratio(
            PART,
            f"{ours.contestant} over {other.contestant}",
            ratios_by_round(ours, other),
            at_least=bound,
            figures=f"{rounded(ours.median)} and {rounded(other.median)} messages/s",
        )
        for other, bound in bounds
    ]


def forward(contestant: Contestant, messages: int) -> float:
    """Commit the messages, start the contestant's processes, return how many a second were handed over."""
    contestant.call("clear_tables")
    queue = bind_queue(contestant)
    contestant.call("publish_backlog", messages=messages)
    with contestant.services_running():
        rate = float(contestant.call("measure_sending", messages=messages, within=TIMEOUT_SECONDS))
    if queue and (depth := contestant.queue_depth(FORWARDED)) != messages:
        raise contestant.round_failed(f"{depth} of {messages} messages are in the queue")
    return rate


def bind_queue(contestant: Contestant) -> bool:
    """Make the queue of a receiver, empty, where messages are forwarded to an exchange; tell whether they are."""
    if contestant.name != FORWARDING.name:
        return False
    name = f"{contestant.run}.{FORWARDED}"
    with open_channel(contestant.broker) as channel:
        channel.exchange_declare(name, "topic", durable=True, auto_delete=False)
        channel.queue_declare(name, durable=True, auto_delete=False)
        channel.queue_bind(name, name, "#")
        channel.queue_purge(name)
    return True


def confirm_raw(queue: str) -> float:
    """Return how many messages a second a loop has confirmed that does nothing else, pipelined on one channel."""
    body = json.dumps({"award": 1, "padding": "x" * 60}).encode()
    with Connection(broker_url(), transport_options={"confirm_publish": False}) as connection:
        channel: Any = connection.channel()
        channel.queue_declare(queue, durable=True, auto_delete=False)
        confirmed = 0

        def count(tag: int, _multiple: bool) -> None:
            nonlocal confirmed
            confirmed = max(confirmed, tag)

        channel.events["basic_ack"].add(count)
        channel.confirm_select()
        wire: Any = connection.connection
        began = time.perf_counter()
        for sent in range(1, RAW_MESSAGES + 1):
            channel.basic_publish(amqp.Message(body, delivery_mode=2), "", queue, mandatory=True)
            while sent - confirmed >= RAW_OUTSTANDING or (sent == RAW_MESSAGES and confirmed < sent):
                wire.blocking_read(TIMEOUT_SECONDS)
        seconds = time.perf_counter() - began
        channel.queue_delete(queue)
    return RAW_MESSAGES / seconds
