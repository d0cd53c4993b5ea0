"""Workers that are killed in the middle."""

from datetime import timedelta

from outbox import registry
from outbox.delivery import starting
from tests.harness.clock import let_pass

LEASE = timedelta(seconds=10, milliseconds=1)


def start_and_crash(name: str, *ids: int) -> None:
    """Start rows as a worker does that is killed right afterwards, and let its lease run out."""
    entry = registry.get(name)
    for id in ids:
        assert starting.start_named(entry, [id])
    let_pass(LEASE)
