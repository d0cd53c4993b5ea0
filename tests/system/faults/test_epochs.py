"""A sender's database is followed by its standby: the numbers of its forwards begin anew, in another epoch."""

import subprocess
import sys
import tempfile
from pathlib import Path
from textwrap import dedent

import pytest
from django.conf import settings

from tests.harness.databases import Database
from tests.harness.installation import SHORT, installed, migrate
from tests.harness.postgres import Server, programs
from tests.harness.program import eventually
from tests.harness.proxy import Proxy

pytestmark = [pytest.mark.processes, pytest.mark.services]

GIVE = dedent("""
    import django; django.setup()
    from django.db import transaction
    from outbox.delivery import numbering
    from outbox.models import SequenceStream
    with transaction.atomic():
        numbering.give("shop.orders", "order.eu", [{id}])
    print(*(f"{row.epoch[:8]}:{row.given}:{row.is_current}" for row in SequenceStream.objects.order_by("pk")))
""")


def give(environment, id):
    """Number a message in a process of its own, and return how the streams are then."""
    code = GIVE.replace("{id}", str(id))
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_after_a_failover_the_numbers_begin_anew(tmp_path):
    if programs() is None:
        pytest.skip("PostgreSQL's server programs are not installed here")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        places = [Path(folder, name) for name in ("one", "two")]
        for place in places:
            place.mkdir()
        first = Server(places[0])
        second = Server(places[1], standby_of=first)
        try:
            proxy = Proxy(first.url)
            with installed(
                Database(proxy.url, "epochs"),
                broker=settings.CELERY_BROKER_URL,
                prefix=f"{settings.OUTBOX['PREFIX']}-epochs",
                folder=tmp_path,
                seconds=SHORT,
            ) as installation:
                migrate(installation.environment)
                before = [give(installation.environment, 1), give(installation.environment, 2)]
                installation.database.close()
                proxy.lead_to(second.url)
                first.stop()
                second.promote()
                after = eventually(lambda: give(installation.environment, 3), within=20)
                again = give(installation.environment, 4)
            proxy.close()
        finally:
            first.close()
            second.close()

    epoch = before[0][0].partition(":")[0]
    assert before == [[f"{epoch}:1:True"], [f"{epoch}:2:True"]]
    assert after[0] == f"{epoch}:2:False"
    new = after[1].partition(":")[0]
    assert new != epoch
    assert (after[1], again[1]) == (f"{new}:1:True", f"{new}:2:True")
