"""What a process remembers between two messages, forgotten between two tests."""

from outbox.delivery import breaker, chunks
from outbox.failures import counting
from outbox.maintenance import recovery
from outbox.monitoring import health


def forget_all() -> None:
    """Forget when it last searched, who was in trouble, who had a backlog, which migrations were applied."""
    forget_looks()
    chunks._backlogged.clear()
    counting._known_at.clear()
    health._applied.clear()


def forget_looks() -> None:
    """Forget only what time makes a process forget: when it last searched for lost rows, and last read the breakers."""
    recovery._rhythm.again_at.clear()
    breaker._seen.at = float("-inf")
