"""A copy of the tables in another database, by dumpdata and loaddata, says the same as the original."""

from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from outbox import Message, audit, operate
from outbox.conf import conf
from outbox.models import AuditEntry
from tests.harness.desk import wins
from tests.harness.messages import empty_tables, publish_messages

pytestmark = pytest.mark.usefixtures("transactional_db")


@pytest.fixture
def lead(transactional_db: None) -> User:
    user, _made = User.objects.get_or_create(username="lead", defaults={"is_superuser": True})
    return user


def copy_through(path: Path) -> None:
    """Write everything to a file, empty the tables, and read it again."""
    written = StringIO()
    call_command("dumpdata", "outbox", database=conf().database, stdout=written)
    path.write_text(written.getvalue())
    empty_tables()
    assert not Message.objects.exists()
    call_command("loaddata", str(path), database=conf().database, verbosity=0)


def keys() -> dict[int, str]:
    return {message.pk: message.idempotency_key for message in Message.objects.all()}


def test_an_idempotency_key_is_drawn_once_and_comes_along(listen, dispatched, tmp_path):
    listen()
    publish_messages(3)
    wins.pending("by the ORM")
    before = keys()
    assert len(set(before.values())) == 4

    copy_through(tmp_path / "copy.json")

    assert keys() == before


def test_the_chain_of_the_audit_is_whole_in_the_copy(lead, tmp_path):
    for key in "123":
        operate.discard(wins.failed(key).pk, revision=0, actor=lead, reason="x")
    assert audit.verify_chain() is None

    copy_through(tmp_path / "copy.json")

    assert AuditEntry.objects.count() == 3
    assert audit.verify_chain() is None
