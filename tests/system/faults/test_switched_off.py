"""A person switches the rescan off while a worker runs and beat does not: nobody covers, until it is on again."""

import pytest

from tests.harness.beat import needs_beat_tables
from tests.harness.oracle import broken
from tests.harness.program import eventually

pytestmark = [pytest.mark.processes, pytest.mark.services, needs_beat_tables]

SWITCH = "UPDATE django_celery_beat_periodictask SET enabled = %s WHERE task = 'outbox.rescan' RETURNING enabled"


def test_workers_cover_for_every_chore_but_for_the_one_that_is_switched_off(install):
    with install() as installation:
        assert installation.rows(SWITCH, False) == [(False,)]
        installation.worker()
        installation.client().publish("shop.sold", ["off"], hints=False)

        eventually(lambda: {"alerts", "rollup", "prune"} <= chores(installation), within=30)
        covered = chores(installation)
        statuses = installation.statuses()
        assert installation.rows(SWITCH, True) == [(True,)]
        installation.wait_until_finished(count=1, within=30)

        assert "rescan" not in covered
        assert statuses == {"pending": 1}
        assert "rescan" in chores(installation)
        assert broken(installation) == {}


def chores(installation) -> set[str]:
    """Return the chores that have succeeded."""
    return {name for (name,) in installation.rows("SELECT name FROM outbox_heartbeat")}
