"""The commands for numbers: what is missing here, and what has become of a number there."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from outbox.models import AuditEntry, Gap, SequenceNumber, SequenceStream, WatchedStream
from tests.harness.rows import sales

pytestmark = pytest.mark.django_db(transaction=True)


def said(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out, stderr=out)
    return out.getvalue()


@pytest.fixture
def gap() -> Gap:
    watched = WatchedStream.objects.create(source="partner", stream="shop.orders/order.eu", epoch="e1", high=20)
    return Gap.objects.create(watched=watched, first=7, last=7, said="sent")


def test_gaps_are_listed_with_an_exit_status_and_closed(gap):
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("outbox_gaps", "list", "--json", stdout=out)
    by = ("--actor", "ann", "--reason", "replayed")
    closed = said("outbox_gaps", "close", str(gap.pk), *by)
    with pytest.raises(CommandError, match="1 of 1 refused"):
        said("outbox_gaps", "close", str(gap.pk), *by)

    assert ended.value.code == 1
    assert json.loads(out.getvalue()) == {
        "id": gap.pk,
        "source": "partner",
        "stream": "shop.orders/order.eu",
        "epoch": "e1",
        "first": 7,
        "last": 7,
        "said": "sent",
        "at": gap.at.isoformat(),
    }
    assert closed == f"{gap.pk}: closed\n"
    assert said("outbox_gaps", "list") == ""
    assert "up to 20  no heartbeat yet" in said("outbox_gaps", "streams")


def test_a_stream_is_forgotten(gap):
    words = ("outbox_gaps", "forget", "--source", "partner", "--actor", "ann", "--reason", "ended", "--stream")

    assert said(*words, "shop.orders/order.eu") == "forgotten\n"
    with pytest.raises(CommandError, match="no such stream is watched"):
        said(*words, "shop.orders/order.eu")
    assert not Gap.objects.exists()


def test_a_number_is_explained_and_an_epoch_begun():
    message = sales.discarded()
    stream = SequenceStream.objects.create(forward="shop.orders", routing_key="order.eu", epoch="e1", given=17)
    SequenceNumber.objects.create(message_id=message.pk, stream=stream, number=17)
    words = ("outbox_sequences", "explain", "shop.orders/order.eu", "17")

    explained = json.loads(said(*words, "--json"))
    begun = said("outbox_sequences", "new-epoch", "shop.orders", "--actor", "ann", "--reason", "restored")
    again = said(*words)

    assert (explained["answer"], explained["message"], explained["epoch"]) == ("discarded", message.pk, "e1")
    assert begun == "1 stream begins anew\n"
    assert again.splitlines()[0] == "17: not_given: This number was not given. The highest is 0."
    assert again.splitlines()[1].startswith("17 (epoch e1): discarded: ")
    assert "ended  up to 17" in said("outbox_sequences", "list")
    assert AuditEntry.objects.values_list("action", "subject").get() == ("new_epoch", "forward shop.orders")
    with pytest.raises(CommandError, match="There is no stream"):
        said("outbox_sequences", "explain", "shop.orders/unknown", "1")
