"""What is to be published, checked before anything is written: a draft, and what it is for each of its consumers."""

import uuid
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from outbox import registry, topics
from outbox.advice import as_timedelta, did_you_mean
from outbox.conf import conf
from outbox.declared import Consumer
from outbox.errors import InvalidMessage, TooLarge, UnknownTopic
from outbox.models.message import KEY_LENGTH
from outbox.models.sql.order import OrderOfKey
from outbox.payloads import check_characters, digest_of, encode
from outbox.worth import Worth, check_worth, worth_for

Key = str | int | uuid.UUID

LONGEST_SPAN = timedelta(days=3650)
CONSUMERS_NAMED = 15
"""Consumers that the error about a topic without one names."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that is not written yet; the fields are the arguments of ``publish``."""

    topic: str
    _: KW_ONLY
    key: Key
    payload: Any
    delay: timedelta | None = None
    within: timedelta | None = None
    ordering_key: str = ""
    headers: Mapping[str, Any] = field(default_factory=dict)
    value: Decimal | int | None = None
    currency: str = ""


@dataclass(frozen=True, slots=True)
class PreparedMessage:
    """A draft checked and encoded for one of its consumers."""

    draft: Draft
    consumer: Consumer
    key: str
    payload: str
    digest: str
    headers: str
    worth: Worth
    asleep: bool = False
    """It stands behind another of its ordering key; see ``outbox.models.sql.order``."""

    @property
    def order(self) -> OrderOfKey:
        """In which order it takes part."""
        return OrderOfKey(self.consumer.name, self.draft.ordering_key)

    @property
    def identity(self) -> tuple[str, str, str]:
        """What is unique, in the order of the index: two calls with several keys then never deadlock."""
        return self.key, self.draft.topic, self.consumer.name


def prepare(draft: Draft) -> list[PreparedMessage]:
    """Return what is written for each consumer of the draft's topic; raises what ``publish`` says."""
    if not isinstance(draft, Draft):
        raise InvalidMessage(f"{draft!r:.100}: publish_many takes Draft(topic, key=..., payload=...)")
    if not topics.is_topic(draft.topic):
        raise InvalidMessage(
            f"topic {draft.topic!r}: words of letters, digits, _ and - joined by dots, at most "
            f"{topics.TOPIC_LENGTH} characters"
        )
    declared = registry.declared_topics()
    if declared and draft.topic not in declared:
        raise UnknownTopic(
            f"{draft.topic!r} is not among the topics of outbox.declare_topics(){did_you_mean(draft.topic, declared)}"
        )
    consumers = registry.consumers_of(draft.topic)
    if not consumers:
        raise UnknownTopic(_describe_unheard(draft.topic))
    key = as_key(draft.key)
    _check_text("ordering_key", draft.ordering_key)
    if not isinstance(draft.headers, Mapping):
        raise InvalidMessage(f"headers {draft.headers!r:.100}: a dict")
    payload, headers = encode("payload", draft.payload), encode("headers", dict(draft.headers))
    digest = digest_of(payload)
    size = len(payload.encode()) + len(headers.encode())
    if size > conf().payload_limit:
        raise TooLarge(
            f"payload and headers of {draft.topic} {key} are {size:,} bytes of JSON, the limit is "
            f'{conf().payload_limit:,} (OUTBOX["PAYLOAD_LIMIT"]); store the data and publish its id'
        )
    _check_spans(draft)
    worth = check_worth(draft.topic, draft.value, draft.currency)
    return [
        PreparedMessage(draft, consumer, key, payload, digest, headers, worth_for(consumer, draft, worth))
        for consumer in consumers
    ]


def check_draft(draft: Draft) -> None:
    """Raise what ``publish`` would raise for the draft before it writes anything; it need not be in a transaction."""
    prepare(draft)


def _describe_unheard(topic: str) -> str:
    known = [entry for entry in registry.all_consumers() if not entry.tells_of]
    found = ", ".join(f"{entry.name} ({entry.pattern})" for entry in known[:CONSUMERS_NAMED]) or "none"
    if len(known) > CONSUMERS_NAMED:
        found += f" and {len(known) - CONSUMERS_NAMED} more"
    meant = did_you_mean(topic, [entry.pattern for entry in known]) or "."
    return (
        f"no consumer listens to {topic!r}{meant} Consumers found: {found}. They stand in the consumers.py of apps in "
        "INSTALLED_APPS"
    )


def as_key(value: object) -> str:
    """Return the business id as it stands in the table."""
    try:
        key = str(value) if isinstance(value, str | int | uuid.UUID) and not isinstance(value, bool) else ""
    except ValueError:  # an int of more digits than Python writes out
        key = ""
    if not 0 < len(key) <= KEY_LENGTH:
        shown = "an int of thousands of digits" if type(value) is int and not key else f"{value!r:.250}"
        raise InvalidMessage(
            f"key {shown}: a str of 1 to {KEY_LENGTH} characters, an int or a UUID; it is the business id, as in "
            "key=order.pk"
        )
    check_characters("key", key)
    return key


def _check_text(name: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > KEY_LENGTH:
        raise InvalidMessage(f"{name} {value!r:.250}: a str of at most {KEY_LENGTH} characters")
    check_characters(name, value)
    return value


def _check_spans(draft: Draft) -> None:
    delay, within = draft.delay, draft.within
    if delay is not None and (not isinstance(delay, timedelta) or not timedelta(0) <= delay <= LONGEST_SPAN):
        raise InvalidMessage(
            f"delay {delay!r}: None or a timedelta from zero to {LONGEST_SPAN.days} days{as_timedelta(delay)}"
        )
    if within is None:
        return
    if not isinstance(within, timedelta) or not timedelta(0) < within <= LONGEST_SPAN:
        raise InvalidMessage(
            f"within {within!r}: None or a timedelta greater than zero, up to {LONGEST_SPAN.days} days"
            f"{as_timedelta(within)}"
        )
    if within <= (delay or timedelta(0)):
        raise InvalidMessage(f"within {within} is over before the delay of {delay}; the message could never be started")
