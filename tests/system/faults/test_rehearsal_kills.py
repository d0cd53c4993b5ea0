"""A worker is killed while it rehearses a whole set; another goes on, and nothing is called that nobody asked for."""

import os
import subprocess
import sys
import time

import psutil
import pytest

from tests.harness.program import ROOT, eventually, has_ended

pytestmark = [pytest.mark.processes, pytest.mark.services]

WELL, FAILING = 60, 20
SET_UP = """
from outbox.bulk import operations, selection
from outbox.models import Message
from outbox.rehearsal import whole_sets
from tests.harness.messages import publish_failed
for number in range({well}):
    publish_failed("shop.tried", do="sleep", seconds=0.05)
for number in range({failing}):
    publish_failed("shop.tried", do="fail")
operation = operations.prepare("retry", selection.failed(), actor="ada")
whole_sets.start(operation.pk, actor="ada")
"""


def children_at_work(worker):
    """Return the processes of a worker that rehearse, each with the one that asks it."""
    return [process for process in worker.family() if "outbox.rehearsal.child" in " ".join(process.cmdline())]


def done(installation):
    return installation.count("SELECT done FROM outbox_bulkrehearsal")


def test_a_worker_that_is_killed_in_a_rehearsal_is_followed_by_another_and_its_child_ends_by_itself(install):
    with install() as installation:
        subprocess.run(
            [sys.executable, "manage.py", "shell", "-c", SET_UP.format(well=WELL, failing=FAILING)],
            cwd=ROOT,
            env={**os.environ, **installation.environment},
            check=True,
            timeout=60,
        )
        worker = installation.control()
        installation.beat()
        [child] = eventually(lambda: children_at_work(worker), within=20)
        noted = eventually(lambda: done(installation), within=20)

        psutil.Process(worker.pid).kill()  # the worker alone: whoever it has started must notice by itself
        eventually(lambda: not worker.is_running(), within=5)
        eventually(lambda: has_ended(child), within=5)
        killed_at = done(installation)
        began = time.monotonic()
        installation.restart(worker)
        eventually(lambda: installation.rows("SELECT 1 FROM outbox_bulkrehearsal WHERE state = 'done'"), within=60)

        print(f"killed at {killed_at} of {WELL + FAILING}; done {time.monotonic() - began:.1f} s after")
        assert noted <= killed_at < WELL + FAILING
        [(results,)] = installation.rows("SELECT results -> 'shop.try_out' -> 'counts' FROM outbox_bulkrehearsal")
        assert results == {"success": WELL, "failed": FAILING}
        assert done(installation) == WELL + FAILING
        assert installation.count("SELECT count(*) FROM shop_effect") == 0
        assert installation.statuses() == {"failed": WELL + FAILING}
        assert installation.count("SELECT count(*) FROM outbox_auditentry WHERE action = 'rehearse'") == 1
