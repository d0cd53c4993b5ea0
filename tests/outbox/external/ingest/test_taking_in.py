import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db.models.functions import Now

from outbox.external.ingest.taking_in import TakenIn, take_in
from outbox.models import Message, Quarantined, QuarantineReason, SourceState, TakenId

pytestmark = pytest.mark.django_db(transaction=True)

DELETED = object()


def reasons() -> dict[str, str]:
    return dict(Quarantined.objects.values_list("sender_id", "reason"))


def test_what_comes_is_published_under_the_source_and_the_sender_s_id(source, came, dispatched):
    partner = source()

    outcome = take_in(partner, [came("1", {"order": 7}, headers={"traceparent": "00-ab", "x-delivery-count": 2})])

    assert outcome == TakenIn(taken=1, rows=1)
    message = Message.objects.get()
    assert (message.topic, message.key, message.payload) == ("test.sold", "partner:1", {"order": 7})
    assert message.headers == {
        "traceparent": "00-ab",
        "x-outbox-source": "partner",
        "x-outbox-message-id": "1",
    }
    assert [list(ids) for one in dispatched for ids in one.values()] == [[message.pk]]


def test_what_comes_again_is_a_no_op_in_the_same_batch_and_later(source, came):
    partner = source()

    first = take_in(partner, [came("1"), came("1"), came("2")])
    second = take_in(partner, [came("2"), came("1", body=b'{ "order":7 }')])

    assert first == TakenIn(taken=2, known=1, rows=2)
    assert second == TakenIn(known=2)
    assert sorted(Message.objects.values_list("key", flat=True)) == ["partner:1", "partner:2"]
    assert SourceState.objects.values_list("taken", "known", "quarantined").get() == (2, 3, 0)


def test_one_partner_s_ids_are_not_another_s(source, came):
    one, other = source(), source("other")

    take_in(one, [came("1")])
    outcome = take_in(other, [came("1", {"order": 8}, source="other")])

    assert outcome == TakenIn(taken=1, rows=1)
    assert sorted(Message.objects.values_list("key", flat=True)) == ["other:1", "partner:1"]


def test_an_id_is_known_for_longer_than_its_message_lives(source, came):
    partner = source()
    take_in(partner, [came("1")])
    Message.objects.all().delete()

    again = take_in(partner, [came("1")])
    other = take_in(partner, [came("1", {"order": 8})])

    assert again == TakenIn(known=1)
    assert other == TakenIn(quarantined=1)
    assert not Message.objects.exists()
    assert reasons() == {"1": QuarantineReason.OTHER_CONTENT}


def test_the_guilty_go_alone_and_their_neighbours_are_taken_in(source, came, configure):
    configure(PAYLOAD_LIMIT=1000)
    partner = source()
    take_in(partner, [came("known")])
    batch = [
        came("good 1"),
        came("known", {"order": "another"}),
        came(None, b'{"no": "id"}'),
        came("no json", b"{'order': 7}"),
        came("not a number", b'{"order": NaN}'),
        came("not utf-8", b'"\xff"'),
        came("packed", properties={"content_encoding": "gzip"}),
        came("large", {"order": "x" * 1000}),
        came("large with its headers", {"order": "x" * 600}, headers={"note": "y" * 600}),
        came("unheard", type="bought"),
        came("no type", type=None),
        came("nul", {"order": "\0"}),
        came("half a character", b'"\\ud800"'),
        came("round", headers={"x-outbox-hops": 8}),
        came("deep", b"[" * 400 + b"]" * 400),
        came("good 2", headers={"x-outbox-hops": 7}),
    ]

    outcome = take_in(partner, batch)

    assert outcome == TakenIn(taken=2, quarantined=14, rows=2)
    assert sorted(Message.objects.values_list("key", flat=True)) == [
        "partner:good 1",
        "partner:good 2",
        "partner:known",
    ]
    assert reasons() == {
        "": QuarantineReason.NO_ID,
        "known": QuarantineReason.OTHER_CONTENT,
        "no json": QuarantineReason.NO_JSON,
        "not a number": QuarantineReason.NO_JSON,
        "not utf-8": QuarantineReason.NO_JSON,
        "packed": QuarantineReason.NO_JSON,
        "large": QuarantineReason.TOO_LARGE,
        "large with its headers": QuarantineReason.TOO_LARGE,
        "unheard": QuarantineReason.UNKNOWN_TOPIC,
        "no type": QuarantineReason.NOT_TOLD,
        "nul": QuarantineReason.NOT_STORABLE,
        "half a character": QuarantineReason.NOT_STORABLE,
        "round": QuarantineReason.GOES_ROUND,
        "deep": QuarantineReason.NOT_STORABLE,
    }


def test_what_is_refused_only_when_it_is_written_is_not_known_once_it_is_mended(source, came, listen):
    def worth(draft):
        raise RuntimeError("no rate for this currency")

    partner = source()
    listen(name="test.other", value=worth)

    outcome = take_in(partner, [came("1")])
    listen(name="test.other")
    again = take_in(partner, [came("1")])

    assert outcome == TakenIn(quarantined=1)
    assert Quarantined.objects.values_list("reason", "error").get() == (
        QuarantineReason.NOT_STORABLE,
        "RuntimeError: no rate for this currency",
    )
    assert again == TakenIn(taken=1, rows=2)


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ({"topic": "test.sold"}, None),
        ({"topic": lambda m: m.payload["topic"]}, QuarantineReason.NOT_TOLD),
        ({"topic": lambda m: 1 / 0}, QuarantineReason.NOT_TOLD),
        ({"topic": lambda m: exit(1)}, QuarantineReason.NOT_TOLD),
        ({"topic": lambda m: None}, QuarantineReason.UNKNOWN_TOPIC),
        ({"topic": lambda m: "test..sold"}, QuarantineReason.UNKNOWN_TOPIC),
        ({"topic": lambda m: ["test.sold"]}, QuarantineReason.UNKNOWN_TOPIC),
        ({"topic": "test.sold", "message_id": lambda m: m.payload["order"]}, None),
        ({"topic": "test.sold", "message_id": lambda m: m.payload}, QuarantineReason.NO_ID),
        ({"topic": "test.sold", "message_id": lambda m: ""}, QuarantineReason.NO_ID),
        ({"topic": "test.sold", "ordering_key": lambda m: str(m.payload["order"])}, None),
        ({"topic": "test.sold", "ordering_key": lambda m: 7}, QuarantineReason.NOT_STORABLE),
    ],
)
def test_what_the_project_s_functions_say_decides_and_never_stops_the_receiver(source, came, option, told):
    partner = source(**option)

    outcome = take_in(partner, [came("1")])

    assert (outcome.taken, outcome.quarantined) == ((0, 1) if told else (1, 0))
    assert list(Quarantined.objects.values_list("reason", flat=True)) == ([told] if told else [])


def test_an_error_that_cannot_be_written_out_is_named_by_its_kind(source, came):
    class Odd(Exception):
        def __str__(self):
            raise ValueError

    def topic(m):
        raise Odd

    take_in(source(topic=topic), [came("1")])

    assert Quarantined.objects.get().error == "Odd"


def test_a_long_id_is_hashed_and_still_known(source, came):
    partner = source(topic="test.sold")
    long = "x" * 255

    first = take_in(partner, [came(long), came(long[:-1] + "y")])
    second = take_in(partner, [came(long)])

    keys = list(Message.objects.values_list("key", flat=True))
    assert first == TakenIn(taken=2, rows=2)
    assert second == TakenIn(known=1)
    assert all(key.startswith("partner:") and len(key) < 60 for key in keys)
    assert len(set(keys)) == 2


def test_nothing_of_a_quarantined_message_is_lost(source, came):
    from outbox.external.ingest.quarantine import incoming_of

    odd = came(
        "1\0",
        b"\x00\xff no json",
        properties={"timestamp": datetime(2026, 11, 30, tzinfo=UTC), "priority": 3},
        headers={
            "blob": b"\x00\x01",
            "nul": "a\0b",
            "at": datetime(2026, 1, 1, tzinfo=UTC),
            "exact": Decimal("1.10"),
            "list": [1, None, True, {"$bytes": "mine"}],
            "large": 1e300,
            "\0": "key",
        },
        exchange="events",
        routing_key="sold",
    )

    take_in(source(), [odd])

    assert incoming_of(Quarantined.objects.get()) == odd


def test_what_is_delivered_again_is_the_same_row_in_quarantine(source, came):
    partner = source()

    take_in(partner, [came("1", b"?")])
    take_in(partner, [came("1", b"?", redelivered=True, headers={"x-delivery-count": 1}), came("1", b"??")])

    assert list(Quarantined.objects.order_by("pk").values_list("body", "times")) == [(b"?", 2), (b"??", 1)] or [
        (bytes(body), times) for body, times in Quarantined.objects.order_by("pk").values_list("body", "times")
    ] == [(b"?", 2), (b"??", 1)]


def test_beyond_the_cap_nothing_is_put_into_quarantine_and_nothing_is_dropped(source, came, configure):
    configure(QUARANTINE_LIMIT=2500)
    partner = source()
    bad = [came(str(number), b"?" * 1000) for number in range(3)]

    outcome = take_in(partner, [bad[0], came("good"), bad[1], bad[2]])
    again = take_in(partner, [bad[0]])

    assert (outcome.taken, outcome.quarantined, len(outcome.left)) == (1, 2, 1)
    assert outcome.left[0].incoming is bad[2]
    assert (again.quarantined, again.left) == (1, [])
    assert Quarantined.objects.count() == 2


def test_a_batch_that_fails_has_written_nothing(source, came, monkeypatch):
    from outbox.external.ingest import tallies

    def fail(*_args, **_kwargs):
        raise RuntimeError("killed here")

    monkeypatch.setattr(tallies, "count", fail)
    with pytest.raises(RuntimeError):
        take_in(source(), [came("1"), came("2", b"?")])

    assert not Message.objects.exists()
    assert not TakenId.objects.exists()
    assert not Quarantined.objects.exists()


def test_an_id_is_forgotten_once_it_is_old_enough(source, came, configure):
    from outbox.maintenance import pruning

    configure(KEEP_RECEIVED=timedelta(days=2))
    partner = source()
    take_in(partner, [came("1"), came("2")])
    TakenId.objects.filter(pk=TakenId.objects.first().pk).update(at=Now() - timedelta(days=3))

    pruning.prune()

    assert TakenId.objects.count() == 1


def test_what_forwarding_counts_up_is_kept(source, came):
    take_in(source(), [came("1", headers={"x-outbox-hops": 2}), came("2", headers={"x-outbox-hops": "many"})])

    hops = {message.key: message.headers["x-outbox-hops"] for message in Message.objects.all()}
    assert json.loads(json.dumps(hops)) == {"partner:1": 2, "partner:2": "many"}
