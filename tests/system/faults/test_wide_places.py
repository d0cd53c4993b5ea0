"""The places of every process of a worker are taken, also by hints that come one by one."""

import time

import pytest

from tests.harness.program import eventually

pytestmark = [pytest.mark.processes, pytest.mark.services]

PLACES = 3
"""Of ``shop.call_by_few`` in a process; a worker has two."""


def test_hints_that_come_one_by_one_fill_the_places_of_every_process(install, tmp_path):
    """Celery hands a task to the first of its processes that is free, and a hint keeps its process but for a moment."""
    book = tmp_path / "book"
    book.touch()
    with install(extra={"VENDOR_BOOK": str(book)}) as installation:
        installation.worker()
        client = installation.client()
        began = time.monotonic()
        for number in range(2 * PLACES):
            client.publish("shop.called_by_few", [f"order-{number}"], {"seconds": 8}, per_commit=1)
            time.sleep(0.4)

        eventually(lambda: len(book.read_text().splitlines()) == 2 * PLACES, within=2)

        by_worker = installation.rows("SELECT worker, count(*) FROM outbox_message GROUP BY worker")
        assert [many for _worker, many in by_worker] == [PLACES, PLACES]
        assert time.monotonic() - began < 8, "calls have ended, so that places were taken twice"
