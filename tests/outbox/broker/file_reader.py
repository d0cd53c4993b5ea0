"""Print what comes out of a queue, until it has been empty for two seconds."""

import json
import sys
import time

from kombu import Connection

folder, queue = sys.argv[1:]
with Connection(transport="outbox.broker.filesystem:Transport", transport_options={"folder": folder}) as connection:
    channel = connection.channel()
    empty_since = time.monotonic()
    while time.monotonic() - empty_since < 2:
        message = channel.basic_get(queue, no_ack=True)
        if message is None:
            time.sleep(0.005)
            continue
        empty_since = time.monotonic()
        assert message.payload["load"] == "x" * 50_000
        sys.stdout.write(json.dumps([message.payload["writer"], message.payload["number"]]) + "\n")
        sys.stdout.flush()
