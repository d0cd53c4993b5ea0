"""Writes elsewhere by half messages: ``halves``."""

import json
import subprocess
import sys
import time
from contextlib import closing

from tests.harness.program import ROOT, eventually
from tests.shop.halves import other_database, other_redis
from tests.trials.trial import DONE_WITHIN, Trial

OPEN_HALVES = "SELECT count(*) FROM outbox_half WHERE state = 'open'"


def halves(trial: Trial) -> None:
    """Kill producers at one line after the other, and the worker that asks the checks; then compare both sides."""
    around = trial.installation
    around.worker()
    [control] = [program for program in around.programs if program.name == "control"]
    for side in ("database", "redis"):
        killed, ended, lines, turns, first = 0, 0, 0, 0, 1
        while killed < trial.times or not lines:
            many = min(max(trial.times - killed, 10), 40)
            argv = [sys.executable, "-m", "tests.harness.half_producer", side, f"{side}-{turns}", str(first), str(many)]
            said = subprocess.run(
                argv, cwd=ROOT, env=around.environment, stdout=subprocess.PIPE, check=True, timeout=300
            )
            found = json.loads(said.stdout)
            killed, ended, turns = killed + found["killed"], ended + found["ended"], turns + 1
            lines, first = max(lines, found["lines"]), found["next"]
            control.kill()
            around.restart(control)
        began = time.monotonic()
        eventually(lambda: not around.count(OPEN_HALVES), within=DONE_WITHIN * 4, what="no half message is open")
        states = dict(
            around.rows("SELECT state, count(*) FROM outbox_half WHERE check_name LIKE %s GROUP BY state", f"%{side}")
        )
        wanted = {key for (key,) in around.rows("SELECT key FROM outbox_message WHERE key LIKE %s", f"{side}-%")}
        written = _written_at(side)
        print(
            f"{side}: {killed} producers killed, each at one of {lines} lines, {ended} not; {turns} kills of the "
            f"worker; settled {time.monotonic() - began:.1f} s later: {states}; {len(written)} written, "
            f"{len(wanted)} published",
            flush=True,
        )
        trial.expect(wanted == written, f"{side}: not on both sides: {sorted(wanted ^ written)}")
        trial.expect(
            bool(states.get("taken_back")) and len(written) > 1, f"{side}: not killed on both sides of the write"
        )
        trial.expect(not states.get("unknown"), f"{side}: a person is asked: {states}")
    trial.finish(within=DONE_WITHIN)


def _written_at(side: str) -> set[str]:
    """Return the keys that the other side has."""
    if side == "redis":
        return set(other_redis().smembers("written"))
    with closing(other_database()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT key FROM write WHERE state = 'written'")
        return {str(key) for (key,) in cursor.fetchall()}
