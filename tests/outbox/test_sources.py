import pytest

from outbox import receive, sources
from outbox.errors import ConsumerError


@pytest.fixture(autouse=True)
def _forget():
    yield
    for name in ("partner", "other"):
        sources.forget_source(name)


def test_a_source_may_be_declared_twice_alike_as_when_a_module_is_read_again():
    for _ in range(2):
        receive("partner.events", topic="shop.sold", source="partner", bindings=[("events", "order.#")])

    assert [(entry.name, entry.queue, entry.bindings) for entry in sources.all_sources()] == [
        ("partner", "partner.events", (("events", "order.#"),))
    ]


@pytest.mark.parametrize(
    ("queue", "options", "said"),
    [
        ("", {}, "the name of a queue comes first"),
        ("x" * 256, {}, "1 to 255 bytes"),
        ("q", {"source": ""}, "is no name"),
        ("q", {"source": "a:b"}, "is no name"),
        ("q", {"topic": "shop.*"}, "neither a topic nor a function"),
        ("q", {"message_id": "id"}, "message_id='id' is no function"),
        ("q", {"ordering_key": "id"}, "ordering_key='id' is no function"),
        ("q", {"high_water": 0}, "no whole number"),
        ("q", {"high_water": True}, "no whole number"),
        ("q", {"broker": None}, "is no name of OUTBOX"),
        ("q", {"bindings": "events"}, "no list of exchange and routing key"),
        ("q", {"bindings": [("events",)]}, "no list of exchange and routing key"),
    ],
)
def test_what_is_declared_wrongly_is_refused_in_a_sentence(queue, options, said):
    with pytest.raises(ConsumerError, match=said):
        receive(queue, **{"topic": "shop.sold", "source": "partner", **options})

    assert not sources.all_sources()


def test_one_source_is_one_queue():
    receive("partner.events", topic="shop.sold", source="partner")

    with pytest.raises(ConsumerError, match=r"is the source of the queue 'partner\.events' already"):
        receive("partner.more", topic="shop.sold", source="partner")
