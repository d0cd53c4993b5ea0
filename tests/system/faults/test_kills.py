"""Workers, beat and publishers are killed over and over while messages flow; then the oracle reads the tables."""

import itertools
import os
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.harness.oracle import broken, lost_from
from tests.harness.program import eventually

pytestmark = [pytest.mark.processes, pytest.mark.services]

SEED = int(os.environ.get("FAULT_SEED") or random.SystemRandom().randrange(10**6))
MESSAGES = 2_000
KILLS = 10
SLEEP = {"do": "sleep", "seconds": 0.03}


@dataclass
class Storm:
    """An installation after the storm, and what was done to it."""

    installation: Any
    workers: list[Any]
    journal: Path
    killed_with_rows_started: int
    beat_kills: int
    client_kills: int
    seconds: float


@pytest.fixture(scope="module")
def storm(install):
    """Let 2,000 messages flow while two workers are killed in turn, ten times, and beat and the publisher thrice."""
    print(f"FAULT_SEED={SEED}")
    rng = random.Random(SEED)
    with install() as installation:
        workers = [installation.worker("left"), installation.worker("right")]
        installation.control()
        beat = installation.beat()
        client = installation.client()
        journal = installation.folder / "journal"
        keys = [f"storm {number}" for number in range(MESSAGES)]
        began = time.monotonic()
        publish_rest(client, keys, journal)

        with_rows_started = 0
        for kill in range(KILLS):
            worker = workers[kill % 2]
            worker.wait_for("ready.")
            if kill < KILLS // 2:  # in the middle of work for certain, later at any moment
                eventually(lambda worker=worker: started_by(worker, installation), within=30)
            else:
                time.sleep(rng.uniform(0, 1))
            with_rows_started += bool(started_by(worker, installation))
            worker.kill()
            worker.start()
            if kill % 3 == 1:
                client.kill()
                client.start()
                publish_rest(client, keys, journal)
            if kill % 3 == 2:
                beat.kill()
                installation.restart(beat)
        client.answer()
        installation.wait_until_finished(count=MESSAGES, within=60)
        yield Storm(
            installation,
            workers,
            journal,
            with_rows_started,
            beat.suffered["killed"],
            client.kills,
            time.monotonic() - began,
        )


def test_the_storm_happened(storm):
    assert [worker.suffered["killed"] for worker in storm.workers] == [KILLS // 2, KILLS // 2]
    assert len({pid for worker in storm.workers for pid in worker.pids}) == KILLS + 2
    assert storm.killed_with_rows_started >= KILLS // 2
    assert (storm.beat_kills, storm.client_kills) == (3, 3)


def test_no_effect_is_doubled_and_no_success_without_effect(storm):
    assert broken(storm.installation) == {}
    assert storm.installation.count("SELECT count(*) FROM shop_effect") == MESSAGES


def test_nothing_that_was_acknowledged_is_lost_and_everything_succeeds(storm):
    assert len(storm.journal.read_text().split("\n")) > MESSAGES
    assert lost_from(storm.journal, storm.installation) == set()
    assert storm.installation.statuses() == {"success": MESSAGES}


def test_business_rows_exist_exactly_if_their_messages_do(storm):
    business = "SELECT substr(name, 6) FROM shop_tag WHERE name LIKE 'sold %%' ORDER BY 1"
    messages = "SELECT key FROM outbox_message ORDER BY 1"

    assert storm.installation.rows(business) == storm.installation.rows(messages)


def test_every_lost_attempt_is_on_record(storm):
    unexplained = storm.installation.rows(
        "SELECT h.message_id, h.attempts_were FROM fault_history h WHERE h.was = 'started' AND h.became = 'pending' "
        "AND NOT EXISTS (SELECT 1 FROM outbox_attempt a WHERE a.message_id = h.message_id "
        "AND a.number = h.attempts_were AND a.outcome = 'lost' AND a.worker <> '') "
        "AND h.at > (SELECT min(ended_at) FROM outbox_attempt)"
    )
    [(lost, messages)] = storm.installation.rows(
        "SELECT count(*), count(DISTINCT message_id) FROM outbox_attempt WHERE outcome = 'lost'"
    )

    assert storm.installation.count("SELECT count(*) FROM outbox_attempt WHERE outcome <> 'lost'") == 0
    assert lost >= storm.killed_with_rows_started
    print(f"{lost} attempts of {messages} messages were lost; the storm took {storm.seconds:.1f} s")
    assert len(unexplained) <= given_back(storm.installation)


def started_by(worker, installation):
    """Return the keys of what the worker's processes hold at the moment."""
    family = {str(process.pid) for process in worker.family()}
    held = installation.rows("SELECT key, worker FROM outbox_message WHERE status = 'started'")
    return [key for key, holder in held if holder.split(":")[1] in family]


def given_back(installation):
    """Count the attempts that ended with their chunk's time, which is no loss and leaves no record."""
    return installation.count("SELECT sum(attempts - 1) FROM outbox_message") - installation.count(
        "SELECT count(*) FROM outbox_attempt"
    )


def publish_rest(client, keys, journal):
    """Have the client publish what it does not know to be safe, as a client does that was cut off."""
    safe = set(journal.read_text().split("\n")) if journal.exists() else set()
    rest = list(itertools.filterfalse(safe.__contains__, keys))
    client.publish(
        "shop.sold_slowly", rest, SLEEP, business=True, journal=str(journal), per_commit=4, every=0.01, wait=False
    )
