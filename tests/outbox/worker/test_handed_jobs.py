"""The last jobs that a pool's processes were handed before the worker is told to stop."""

import os
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import psutil
import pytest
from celery.concurrency.prefork import TaskPool
from kombu.asynchronous import Hub

from outbox.broker.queues import celery_app
from outbox.worker.handed_jobs import HandedJobsStep
from tests.harness.program import eventually


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()
    hub.timer.call_repeatedly(0.05, int)  # it waits no longer
    yield hub
    hub.close()


@pytest.fixture
def pool(hub: Hub) -> Iterator[TaskPool]:
    """A pool of one process, as Celery's loop drives it."""
    pool = TaskPool(limit=1, app=celery_app(), threads=False, initargs=(celery_app(), "here"))
    pool.start()
    pool.register_with_event_loop(hub)
    yield pool
    pool.terminate()


def test_a_job_that_a_frozen_process_was_handed_is_done_and_its_result_is_read(hub, pool):
    done = []
    [process] = [psutil.Process(pid) for pid in pool._get_info()["processes"]]
    loop = hub.create_loop()
    eventually(lambda: next(loop) or pool._pool._all_inqueues, within=10, what="the process is up")
    process.suspend()
    pool.apply_async(os.getpid, callback=done.append)
    eventually(lambda: next(loop) or not pool._pool.outbound_buffer, within=10, what="the job is handed over")
    threading.Timer(0.3, process.resume).start()

    HandedJobsStep(SimpleNamespace(pool=pool)).close(SimpleNamespace(pool=pool))
    pool._pool.flush()
    pool.on_stop()

    assert done == [process.pid]
