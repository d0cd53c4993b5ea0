"""What cannot be stored faithfully is refused before anything is written; what is accepted comes back equal."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from outbox import Message, publish
from outbox.errors import InvalidMessage, OutboxError, PublishError
from tests.shop.models import Stock

pytestmark = pytest.mark.usefixtures("transactional_db", "dispatched")


def nested(depth: int) -> list:
    value: list = []
    for _ in range(depth - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"payload": "a\0b"}, "payload contains a NUL character, which PostgreSQL cannot store"),
        ({"payload": {"a": [{"b": "\0"}]}}, "payload['a'][0]['b'] contains a NUL character"),
        ({"payload": {"\0": 1}}, "a key of payload contains a NUL character"),
        ({"payload": {"a": "\ud800"}}, "payload['a'] contains a lone surrogate, which is not valid text"),
        ({"payload": {"\udfff": 1}}, "a key of payload contains a lone surrogate"),
        ({"payload": {"a": float("nan")}}, "payload['a'] is nan, which JSON does not have"),
        ({"payload": [float("inf")]}, "payload[0] is inf, which JSON does not have"),
        ({"payload": [-float("inf")]}, "payload[0] is -inf, which JSON does not have"),
        ({"payload": 1e300}, "payload is 1e+300, which would not come back as the same number"),
        ({"payload": -1e16}, "payload is -1e+16, which would not come back as the same number"),
        ({"payload": b"bytes"}, "payload is of type bytes, which is not JSON; publish text, such as base64"),
        ({"payload": {"at": datetime(2026, 1, 1, tzinfo=UTC)}}, "payload['at'] is of type datetime, which is not JSON"),
        ({"payload": {"on": date(2026, 1, 1)}}, "payload['on'] is of type date, which is not JSON"),
        ({"payload": {"sum": Decimal("1.10")}}, "payload['sum'] is of type Decimal, which is not JSON"),
        ({"payload": {UUID(int=1)}}, "payload is of type set, which is not JSON"),
        ({"payload": object}, "payload is of type type, which is not JSON"),
        ({"payload": {1: "a"}}, "payload has the key 1; JSON keys are str, convert it yourself"),
        ({"payload": {"a": {None: "a"}}}, "payload['a'] has the key None; JSON keys are str"),
        ({"payload": {True: "a"}}, "payload has the key True; JSON keys are str"),
        ({"payload": 10**5_000}, "payload is not JSON: "),
        ({"payload": "x" * 10_000_000}, "are 10,000,004 bytes of JSON, the limit is 262,144"),
        ({"payload": "ß" * 131_072}, "are 262,148 bytes of JSON, the limit is 262,144"),
        ({"payload": {}, "headers": {"h": "x" * 262_140}}, "bytes of JSON, the limit is 262,144"),
        ({"payload": nested(101)}, "payload is nested too deeply"),
        ({"payload": nested(100_000)}, "payload is nested too deeply"),
        ({"payload": {}, "headers": {"a": nested(101)}}, "headers is nested too deeply"),
        ({"payload": {}, "headers": {"a": "\0"}}, "headers['a'] contains a NUL character"),
        ({"payload": {}, "headers": {1: 2}}, "headers has the key 1"),
        ({"payload": {}, "headers": "text"}, "headers 'text': a dict"),
        ({"payload": {}, "headers": 5}, "headers 5: a dict"),
        ({"payload": {}, "key": ""}, "key '': a str of 1 to 200 characters, an int or a UUID"),
        ({"payload": {}, "key": True}, "key True: a str of 1 to 200 characters, an int or a UUID"),
        ({"payload": {}, "key": b"a"}, "key b'a': a str of 1 to 200 characters, an int or a UUID"),
        ({"payload": {}, "key": "x" * 201}, ": a str of 1 to 200 characters, an int or a UUID"),
        ({"payload": {}, "key": 10**200}, ": a str of 1 to 200 characters, an int or a UUID"),
        ({"payload": {}, "key": 10**5_000}, "key an int of thousands of digits: a str of 1 to 200 characters, an int"),
        ({"payload": {}, "key": None}, "key None: a str of 1 to 200 characters, an int or a UUID"),
        ({"payload": {}, "key": 1.5}, "key 1.5: a str of 1 to 200 characters, an int or a UUID"),
        ({"payload": {}, "key": "a\0"}, "key contains a NUL character"),
        ({"payload": {}, "key": "\ud800"}, "key contains a lone surrogate"),
        ({"payload": {}, "ordering_key": "x" * 201}, ": a str of at most 200 characters"),
        ({"payload": {}, "ordering_key": 7}, "ordering_key 7: a str of at most 200 characters"),
        ({"payload": {}, "ordering_key": "\0"}, "ordering_key contains a NUL character"),
        ({"payload": {}, "delay": 5}, "delay 5: None or a timedelta from zero to 3650 days"),
        ({"payload": {}, "delay": timedelta(seconds=-1)}, "None or a timedelta from zero to 3650 days"),
        ({"payload": {}, "delay": timedelta.max}, "None or a timedelta from zero to 3650 days"),
        ({"payload": {}, "topic": ""}, "topic '': words of letters, digits, _ and - joined by dots"),
        ({"payload": {}, "topic": "test..sold"}, "topic 'test..sold': words of letters"),
        ({"payload": {}, "topic": "test.*"}, "topic 'test.*': words of letters"),
        ({"payload": {}, "topic": "test sold"}, "topic 'test sold': words of letters"),
        ({"payload": {}, "topic": "test.sold\n"}, "words of letters"),
        ({"payload": {}, "topic": "x" * 201}, "at most 200 characters"),
        ({"payload": {}, "topic": None}, "topic None: words of letters"),
        ({"payload": {}, "topic": "test.unheard-of"}, "no consumer listens to 'test.unheard-of'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_kept_is_refused_and_the_business_transaction_goes_on(listen, dispatched, given_, message):
    listen()

    with transaction.atomic():
        Stock.objects.create(count=1)
        with pytest.raises(PublishError) as caught:
            publish(**{"topic": "test.sold", "key": "one", **given_})
        Stock.objects.create(count=2)

    assert message in str(caught.value)
    assert len(str(caught.value)) < 1_000
    assert (Stock.objects.count(), Message.objects.count(), dispatched) == (2, 0, [])


def test_a_payload_of_exactly_the_limit_is_accepted(listen):
    listen()
    payload = "x" * (262_144 - 4)

    with transaction.atomic():
        publish("test.sold", key="one", payload=payload)

    assert Message.objects.get().payload == payload


def test_the_limit_is_the_host_s_to_set(listen, configure):
    listen()
    configure(PAYLOAD_LIMIT=10)

    with transaction.atomic(), pytest.raises(InvalidMessage, match="are 11 bytes of JSON, the limit is 10"):
        publish("test.sold", key="one", payload="1234567")


def test_a_hundred_levels_are_not_too_deep(listen):
    listen()

    with transaction.atomic():
        publish("test.sold", key="one", payload=nested(100))

    assert Message.objects.get().payload == nested(100)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**80), 10**80)
    | st.floats()
    | st.text(st.characters())
    | st.text("\0\ud800\udfffa", min_size=1, max_size=3)
    | st.binary(max_size=2)
    | st.decimals(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(), max_size=5), inner, max_size=4)
        | st.dictionaries(st.integers() | st.none(), inner, max_size=1)
    ),
    max_leaves=8,
)


@pytest.fixture
def till(listen):
    return listen()


@given(payload=anything, headers=st.dictionaries(st.text(max_size=4), anything, max_size=2), key=st.text(max_size=5))
@example(payload=["a\0b"], headers={}, key="a")
@example(payload=["\\u0000", "ß\\u0000"], headers={}, key="a")
@example(payload={"\ud800": 1}, headers={}, key="a")
@example(payload=5e-324, headers={}, key="a")
@example(payload=0.1 + 0.2, headers={}, key="a")
@example(payload=1e15, headers={}, key="a")
@example(payload=-0.0, headers={}, key="a")
@example(payload=2**64, headers={}, key="a")
@example(payload={"": {"": ""}}, headers={}, key=" ")
@example(payload={"b": 1, "a": 2, "\u2028": "\x7f\x1f"}, headers={}, key="\x1f")
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_accepted_comes_back_equal_and_what_is_not_has_written_nothing(till, payload, headers, key):
    with transaction.atomic():
        try:
            publish("test.sold", key=key, payload=payload, headers=headers)
        except OutboxError:
            assert Message.objects.count() == 0
        else:
            assert list(Message.objects.values_list("key", "payload", "headers")) == [(key, payload, headers)]
        transaction.set_rollback(True)
