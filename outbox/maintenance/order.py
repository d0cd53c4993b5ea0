"""The safety search of the order per key: wake heads that sleep.

Whoever settles a head wakes the next of its key, but after its own transaction, in which the next may not be there yet;
and it may die before. So the rescan walks from key to key, some of them in each pass, and begins again at the end.
"""

import logging
from dataclasses import dataclass

from outbox.memory import Memory
from outbox.models.sql.order import OrderOfKey, heads_after, wake_heads

log = logging.getLogger("outbox.rescan")

KEYS_PER_PASS = 1_000
"""Keys whose heads are looked at by one pass, at most: 100,000 keys take a hundred."""
BEGINNING = OrderOfKey("", "")


@dataclass
class _Place:
    """The key at which this process goes on."""

    key: OrderOfKey = BEGINNING


_place = Memory(_Place)


def wake_forgotten_heads() -> int:
    """Look at the heads of the next keys, make those due that sleep, and return how many did."""
    place = _place.value
    heads = heads_after(place.key, limit=KEYS_PER_PASS)
    place.key = heads[-1].key if len(heads) == KEYS_PER_PASS else BEGINNING
    forgotten = {head.key for head in heads if head.asleep}
    if forgotten:
        wake_heads(forgotten)
        log.info("%d messages with an ordering key had not been told that it was their turn", len(forgotten))
    return len(forgotten)
