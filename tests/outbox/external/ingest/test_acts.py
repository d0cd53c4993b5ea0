import pytest

from outbox.errors import Conflict, NotAllowed, PermissionMissing
from outbox.external.ingest.acts import discard_quarantined, reveal_quarantined, take_in_again
from outbox.external.ingest.taking_in import TakenIn, take_in
from outbox.models import AuditEntry, Message, Quarantined
from tests.harness.desk import user

pytestmark = pytest.mark.django_db(transaction=True)

BY = {"actor": "ada", "reason": "it is mended"}


def only() -> Quarantined:
    return Quarantined.objects.get()


def test_what_is_mended_is_taken_in_as_if_it_had_just_come_and_is_then_known(source, came, listen):
    partner = source()
    take_in(partner, [came("1", type="bought", headers={"note": "x"})])
    listen(name="test.other", topic="test.bought")

    settled = take_in_again(only().pk, **BY)
    again = take_in(partner, [came("1", type="bought", redelivered=True)])

    message = Message.objects.get()
    assert (message.topic, message.key, message.payload) == ("test.bought", "partner:1", {"order": 7})
    assert message.headers["note"] == "x"
    assert (settled.state, settled.settled_by, settled.settled_at is None) == ("taken_in", "ada", False)
    assert again == TakenIn(known=1)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.subject, entry.reason) == (
        "take_in",
        f"quarantined message {settled.pk}",
        "it is mended",
    )
    assert (entry.before["state"], entry.after["state"]) == ("open", "taken_in")


@pytest.mark.parametrize("how", [{"id": "1", "type": "bought"}, {"id": None}, {"id": "1", "body": b"?"}])
def test_what_is_not_mended_stays_and_it_is_said_why(source, came, how):
    take_in(source(), [came(**how)])

    with pytest.raises(NotAllowed, match="It still cannot be taken in"):
        take_in_again(only().pk, **BY)

    assert only().state == "open"
    assert not Message.objects.exists()
    assert [entry.action for entry in AuditEntry.objects.all()] == ["denied"]


def test_as_a_message_of_its_own_it_needs_no_id_and_may_differ_from_another(source, came):
    partner = source()
    take_in(partner, [came("1"), came("1", {"order": 8}), came(None, {"order": 9})])

    for row in Quarantined.objects.order_by("pk"):
        take_in_again(row.pk, as_new=True, **BY)

    assert sorted(message.payload["order"] for message in Message.objects.all()) == [7, 8, 9]
    assert len({message.key for message in Message.objects.all()}) == 3


def test_what_went_round_is_taken_in_by_a_person_all_the_same(source, came):
    take_in(source(), [came("1", headers={"x-outbox-hops": 9})])

    take_in_again(only().pk, **BY)

    assert Message.objects.get().headers["x-outbox-hops"] == 9


def test_what_is_discarded_stays_discarded_and_makes_room(source, came):
    take_in(source(), [came("1", b"?")])

    discard_quarantined(only().pk, **BY)
    with pytest.raises(Conflict, match="ada has settled it already: discarded"):
        take_in_again(only().pk, **BY)
    with pytest.raises(Conflict, match="is not there any more"):
        discard_quarantined(0, **BY)

    assert only().state == "discarded"
    assert Quarantined.objects.open().size_in_bytes() == 0
    assert not Message.objects.exists()


def test_the_source_must_be_in_the_code(source, came):
    from outbox import sources

    take_in(source(), [came("1", b"?")])
    sources.forget_source("partner")

    with pytest.raises(NotAllowed, match=r"No receive\(\) in the code has the source “partner” any more"):
        take_in_again(only().pk, **BY)


def test_each_act_takes_its_permission_and_a_reason(source, came):
    take_in(source(), [came("1", b"?")])
    person = user("ben", "view_quarantined")

    for act in (take_in_again, discard_quarantined, reveal_quarantined):
        with pytest.raises(PermissionMissing):
            act(only().pk, actor=person, reason="I want to")
    for act in (take_in_again, discard_quarantined):
        with pytest.raises(NotAllowed, match="Say why"):
            act(only().pk, actor="ada", reason=" ")

    assert only().state == "open"


def test_who_looks_at_the_content_is_noted(source, came):
    take_in(source(), [came("1", b"secret?")])
    person = user("ben", "view_payload")

    shown = reveal_quarantined(only().pk, actor=person)

    assert shown.body == b"secret?"
    assert AuditEntry.objects.values_list("actor", "action", "subject").get() == (
        "ben",
        "reveal",
        f"quarantined message {only().pk}",
    )
