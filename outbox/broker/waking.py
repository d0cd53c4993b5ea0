"""What an act in a transaction does for the ordering keys that it sets free."""

from collections import defaultdict
from collections.abc import Collection

from outbox.broker import dispatcher
from outbox.models.sql.order import OrderOfKey, wake_heads


def wake_and_hint(keys: Collection[OrderOfKey]) -> None:
    """Make what comes first by these ordering keys due, and hint it once the engine's transaction has committed."""
    ids: dict[str, list[int]] = defaultdict(list)
    for woken in wake_heads(keys) if keys else []:
        ids[woken.consumer].append(woken.id)
    if ids:
        dispatcher.dispatch_on_commit(ids)
