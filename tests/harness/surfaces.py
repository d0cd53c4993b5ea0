"""What Operations and ``/metrics`` say, asked again and again by a process of its own that runs on an installation.

Run as ``python -m tests.harness.surfaces SECONDS WORDS…``: it prints, as JSON, after how many seconds the page of
Operations and the metrics had the words in them, and how long the slowest page took. A word with a leading ``/`` is
looked for in the metrics.
"""

import json
import sys
import time
from typing import Any

import django
from django.test import Client


def ask(words: list[str], *, within: float) -> dict[str, Any]:
    """Ask until every word was found, or the time is over."""
    from django.contrib.auth import get_user_model

    people = get_user_model()._default_manager
    person = people.filter(username="watcher").first() or people.create_superuser("watcher", password="none")
    client = Client(SERVER_NAME="localhost", headers={"accept-language": "en"})
    client.force_login(person)
    found: dict[str, float] = {}
    slowest, since = 0.0, time.monotonic()
    while len(found) < len(words) and time.monotonic() - since < within:
        began = time.monotonic()
        pages = {"operations": client.get("/admin/outbox/"), "metrics": client.get("/metrics")}
        slowest = max(slowest, (time.monotonic() - began) / 2)
        for word in words:
            said = pages["metrics" if word.startswith("/") else "operations"].content.decode()
            if word not in found and word.removeprefix("/") in said:
                found[word] = round(time.monotonic() - since, 1)
        time.sleep(0.5)
    return {"found": found, "slowest": round(slowest, 2)}


if __name__ == "__main__":
    django.setup()
    print(json.dumps(ask(sys.argv[2:], within=float(sys.argv[1]))))
