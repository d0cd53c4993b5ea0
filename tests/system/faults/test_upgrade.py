"""A release is migrated to while the release before it runs: its rows stay, its processes go on, new ones take over."""

import subprocess
import tarfile
import threading
from io import BytesIO
from pathlib import Path

import pytest
from django.conf import settings

from tests.harness.databases import Database, name_of_run
from tests.harness.installation import SHORT, Installation, installed, migrate
from tests.harness.oracle import HISTORY, broken
from tests.harness.program import ROOT, eventually
from tests.system.conftest import BROKER, SERVER
from tests.test_releases import RELEASE, git

pytestmark = [pytest.mark.processes, pytest.mark.services]

SLEEP = {"do": "sleep", "seconds": 0.02}


def release_before(root: Path) -> str:
    """Return the newest tag of a release that is not this commit; without any, the commit, which is to be the first."""
    earlier = git(root, "tag", "--no-contains", "HEAD", "--sort=-version:refname").split()
    return next((tag for tag in earlier if RELEASE.fullmatch(tag)), "HEAD")


def failed(installation):
    """Return the rows of what has failed, with all columns."""
    rows = installation.rows("SELECT to_jsonb(m) FROM outbox_message m WHERE status = 'failed' ORDER BY id")
    return [row for [row] in rows]


@pytest.fixture(scope="module")
def old_code(tmp_path_factory):
    """The folder of the release before."""
    if not (ROOT / ".git").exists():
        return ROOT  # a copy without its history
    folder = tmp_path_factory.mktemp("release")
    argv = ["git", "archive", release_before(ROOT)]
    with tarfile.open(fileobj=BytesIO(subprocess.run(argv, cwd=ROOT, check=True, capture_output=True).stdout)) as files:
        files.extractall(folder, filter="data")
    return folder


@pytest.fixture
def old(old_code, tmp_path):
    """The release before, with its tables and all its processes."""
    database = Database(SERVER, f"{name_of_run()}_upgraded", durable=False)
    prefix = f"{settings.OUTBOX['PREFIX']}-upgraded"
    with installed(
        database, broker=BROKER, prefix=prefix, folder=tmp_path, seconds=SHORT, code=old_code
    ) as installation:
        migrate(installation.environment, old_code)
        database.rows(HISTORY)
        yield installation.everything()


def test_a_release_is_migrated_to_while_the_one_before_it_works(old, tmp_path):
    old.the_client.publish("shop.sold", [f"failed {number}" for number in range(5)], {"do": "reject"}, business=True)
    old.wait_until_finished("failed ", count=5)
    before = failed(old)
    migrated, sold = threading.Event(), []

    def sell() -> None:
        while not migrated.is_set():
            keys = [f"meanwhile {len(sold) + number}" for number in range(10)]
            old.the_client.publish("shop.sold", keys, SLEEP, business=True)
            sold.extend(keys)

    seller = threading.Thread(target=sell)
    seller.start()
    eventually(lambda: old.statuses("meanwhile ").get("success"), within=20)
    sold_before = len(sold)
    migrate(old.environment)
    eventually(lambda: len(sold) > sold_before + 10 or not seller.is_alive(), within=20)
    migrated.set()
    seller.join(30)

    old.wait_until_finished("meanwhile ", count=len(sold))
    assert len(sold) > sold_before + 10, "the old web could not go on"
    assert old.statuses("meanwhile ") == {"success": len(sold)}
    assert [now.items() >= was.items() for was, now in zip(before, failed(old), strict=True)] == [True] * 5

    assert [program.terminate() for program in (old.the_worker, old.the_control, old.the_beat)] == [0, 0, 0]
    old.the_client.publish("shop.sold", [f"by the old web {number}" for number in range(20)], business=True)
    new = Installation(old.database, broker=old.broker, prefix=old.prefix, folder=tmp_path / "new", seconds=SHORT)
    new.folder.mkdir()
    try:
        new.everything()
        new.the_client.publish("shop.sold", [f"by the new web {number}" for number in range(20)], business=True)
        new.wait_until_finished("by the ", count=40)
    finally:
        new.close()

    assert old.statuses() == {"success": len(sold) + 40, "failed": 5}
    assert broken(old) == {}
