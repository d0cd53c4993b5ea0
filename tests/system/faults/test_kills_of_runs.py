"""Workers are killed over and over in the middle of runs of ordering keys; each key stays in order, once only."""

import random
from itertools import pairwise

import pytest

from tests.harness.oracle import broken
from tests.harness.program import eventually

pytestmark = [pytest.mark.processes, pytest.mark.services]

KEYS = 3
OF_EACH = 60
KILLS = 4
EFFECTS = """
    SELECT m.ordering_key, m.id, e.attempt, e.pid, e.id FROM shop_effect e JOIN outbox_message m ON m.id = e.message_id
    ORDER BY e.id
"""


@pytest.fixture(scope="module")
def storm(install):
    """Let three keys flow through two workers that are killed in turn; some fail once, one kills its worker."""
    rng = random.Random(11)
    with install() as installation:
        workers = [installation.worker("left"), installation.worker("right")]
        installation.control()
        installation.beat()
        client = installation.client()
        for key in range(KEYS):
            names = [f"{key} {number}" for number in range(OF_EACH)]
            each = {name: {"do": "sleep", "seconds": rng.uniform(0.01, 0.04)} for name in names}
            each |= {name: {"do": "fail once"} for name in names[20::25]}
            each |= {names[30]: {"do": "kill once"}} if key == 0 else {}
            client.publish("shop.queue.1", names, {}, each=each, per_commit=20, ordering_key=f"key {key}")
        killed_in_a_run = 0
        for kill in range(KILLS):
            worker = workers[kill % 2]
            worker.wait_for("ready.")
            eventually(lambda: run_lengths(installation) or not unfinished(installation), within=30)
            killed_in_a_run += bool(run_lengths(installation))
            worker.kill()
            worker.start()
        installation.wait_until_finished(count=KEYS * OF_EACH, within=120)
        yield installation, killed_in_a_run


def run_lengths(installation):
    """Return how many messages of each key are started, where that is more than one."""
    return installation.rows(
        "SELECT count(*) FROM outbox_message WHERE status = 'started' AND ordering_key <> ''"
        " GROUP BY ordering_key HAVING count(*) > 1"
    )


def unfinished(installation):
    """Count what is not finished."""
    return installation.count("SELECT count(*) FROM outbox_message WHERE finished_at IS NULL")


def test_runs_were_cut_off(storm):
    installation, killed_in_a_run = storm

    lost = installation.count("SELECT count(DISTINCT message_id) FROM outbox_attempt WHERE outcome = 'lost'")
    assert killed_in_a_run >= 2
    assert lost > killed_in_a_run


def test_every_message_of_every_key_had_its_effect_once(storm):
    installation, _killed = storm

    assert broken(installation) == {}
    assert installation.count("SELECT count(*) FROM shop_effect") == KEYS * OF_EACH
    assert installation.statuses() == {"success": KEYS * OF_EACH}


def test_the_effects_of_every_key_are_in_its_order(storm):
    installation, _killed = storm

    ids_by_key = {}
    for key, id, _attempt, _pid, _effect in installation.rows(EFFECTS):
        ids_by_key.setdefault(key, []).append(id)
    assert {key: len(ids) for key, ids in ids_by_key.items()} == {f"key {key}": OF_EACH for key in range(KEYS)}
    assert [pair for ids in ids_by_key.values() for pair in pairwise(ids) if pair[0] > pair[1]] == []


def test_what_was_lost_behind_a_head_has_spent_no_try_of_its_own(storm):
    installation, _killed = storm

    lost_twice = installation.count(
        "SELECT count(*) FROM (SELECT message_id FROM outbox_attempt WHERE outcome = 'lost'"
        " GROUP BY message_id HAVING count(*) > %s) often",
        KILLS + 1,
    )
    assert lost_twice == 0
    assert installation.count("SELECT count(*) FROM outbox_message WHERE holds_key") == 0
