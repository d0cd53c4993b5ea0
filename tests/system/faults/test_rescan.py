"""The rescan, run on purpose by processes that have nothing else to do."""

import pytest

pytestmark = [pytest.mark.processes, pytest.mark.services]


def test_the_rescan_claims_no_more_lost_rows_than_there_is_room_for_hints_of_one_row(install):
    with install() as installation:
        client = installation.client()
        client.publish("shop.sold", [f"lost {number}" for number in range(300)], hints=False, per_commit=100)
        installation.rows(
            "UPDATE outbox_message SET lost = 1, attempts = 1, attempt_limit = 4, "
            "due_at = created_at - interval '1 day'"
        )

        [sweep] = client.do("rescan", times=1)

        assert sweep["sent"] == installation.depth("shop.book") == 50
        untouched = "SELECT count(*) FROM outbox_message WHERE due_at < created_at AND sends = 0"
        assert installation.count(untouched) == 250
