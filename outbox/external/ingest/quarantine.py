"""Where messages go that cannot be taken in: whole, with their reason, once each, as long as there is room."""

from collections.abc import Sequence

from django.db.models import F
from django.db.models.functions import Now

from outbox.conf import conf
from outbox.external.ingest.faithful import freeze, thaw
from outbox.external.ingest.reading import Refused, whole_digest
from outbox.models import Quarantined
from outbox.models.ingest import SENDER_ID_LENGTH
from outbox.models.said import storable
from outbox.sources import Incoming
from outbox.topics import TOPIC_LENGTH

ERROR_LENGTH = 1_000


def put(refused: Sequence[Refused]) -> list[Refused]:
    """Write down what was refused, and return what there is no room for. Call it inside a transaction.

    What stands there and waits for a person is counted as delivered again, which takes no room.
    """
    left: list[Refused] = []
    used = Quarantined.objects.open().size_in_bytes() if refused else 0
    for one in refused:
        row = _row(one)
        if _was_delivered_again(row):
            continue
        if used and used + row.size > conf().quarantine_limit:
            left.append(one)
            continue
        Quarantined.objects.bulk_create([row], ignore_conflicts=True)
        used += row.size
    return left


def is_full() -> bool:
    """Tell whether there is no room for another byte."""
    return Quarantined.objects.open().size_in_bytes() >= conf().quarantine_limit


def incoming_of(row: Quarantined) -> Incoming:
    """Return a quarantined message as it came."""
    return Incoming(
        source=row.source,
        queue=row.queue,
        body=bytes(row.body),
        properties=thaw(row.properties),
        headers=thaw(row.headers),
        exchange=thaw(row.delivery.get("exchange", "")),
        routing_key=thaw(row.delivery.get("routing_key", "")),
    )


def _was_delivered_again(row: Quarantined) -> bool:
    same = Quarantined.objects.open().filter(source=row.source, digest=row.digest)
    return bool(same.update(times=F("times") + 1, last_at=Now()))


def _row(refused: Refused) -> Quarantined:
    incoming = refused.incoming
    properties, headers = freeze(incoming.properties), freeze(incoming.headers)
    return Quarantined(
        source=incoming.source,
        queue=incoming.queue,
        reason=refused.reason,
        error=storable(refused.error, most=ERROR_LENGTH),
        sender_id=storable(refused.sender_id, most=SENDER_ID_LENGTH),
        topic=storable(refused.topic, most=TOPIC_LENGTH),
        body=incoming.body,
        properties=properties,
        headers=headers,
        delivery={"exchange": freeze(incoming.exchange), "routing_key": freeze(incoming.routing_key)},
        size=len(incoming.body) + len(repr(properties)) + len(repr(headers)),
        digest=whole_digest(incoming),
    )
