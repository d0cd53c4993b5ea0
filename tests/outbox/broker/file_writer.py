"""Write numbered messages, large enough to be seen half-written if they could be."""

import sys

from kombu import Connection, Producer

folder, queue, name, count = sys.argv[1:]
with Connection(transport="outbox.broker.filesystem:Transport", transport_options={"folder": folder}) as connection:
    producer = Producer(connection.channel(), auto_declare=False)
    for number in range(int(count)):
        producer.publish({"writer": name, "number": number, "load": "x" * 50_000}, routing_key=queue, mandatory=True)
