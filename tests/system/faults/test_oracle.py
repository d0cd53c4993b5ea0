"""The oracle itself: it must be seen red, once for every invariant, before its green means anything."""

import pytest

from tests.harness.oracle import broken, lost_from

pytestmark = [pytest.mark.processes, pytest.mark.services]

EFFECT = "INSERT INTO shop_effect (key, message_id, attempt, pid, at) SELECT key, id, 1, 0, now() FROM outbox_message"
START = (
    "UPDATE outbox_message SET status = 'started', attempts = attempts + 1, started_at = now(), "
    "lease_until = now() + interval '10 seconds'"
)
FINISH = "UPDATE outbox_message SET status = 'success', finished_at = now(), lease_until = NULL"
UNDO = "UPDATE outbox_message SET status = 'pending', finished_at = NULL, lease_until = NULL"

SOUND = [START, EFFECT, FINISH]
INJECTED = {
    "I1: a business row without its message": ["INSERT INTO shop_tag (name) VALUES ('sold nothing')"],
    "I4: an effect more than once": [*SOUND, EFFECT],
    "I4: success without its effect": [START, FINISH],
    "I4: an effect without success": [START, EFFECT],
    "I5: a success that did not last": [*SOUND, UNDO, "DELETE FROM shop_effect"],
    "I5: attempts that fell, or grew without a start": [START, UNDO + ", attempts = attempts - 1"],
    "I5: a success that was not started": [START, UNDO, EFFECT, FINISH],
    "I7: started, and nobody's": [START, "UPDATE outbox_message SET lease_until = now() - interval '2 minutes'"],
}


@pytest.fixture(scope="module")
def injected(install):
    """One message that nobody delivers."""
    with install() as installation:
        installation.the_client = installation.client()
        yield installation


@pytest.mark.parametrize("invariant", INJECTED)
def test_an_injected_fault_is_seen(injected, invariant):
    injected.rows("TRUNCATE outbox_message, shop_effect, shop_tag, fault_history CASCADE")
    injected.the_client.publish("shop.sold", ["one"], hints=False)
    assert broken(injected) == {}

    for statement in INJECTED[invariant]:
        injected.rows(statement)

    assert set(broken(injected)) == {invariant}


def test_a_lost_acknowledgement_is_seen(injected, tmp_path):
    journal = tmp_path / "journal"
    journal.write_text("one\ntwo\n")

    assert lost_from(journal, injected) == {"two"}
