"""Task-table compensation for Django: write a promise with the business row, and it is made good.

The names below are the whole public API. They are loaded on first use, because models cannot be imported before the
apps are ready, and ``outbox`` itself is imported while they are being made ready.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outbox.errors import KeyReused, Reject, Snooze, Superseded, Unavailable
    from outbox.models import Message
    from outbox.policy import Backoff
    from outbox.publishing import Draft, publish, publish_many
    from outbox.registry import consumer, declare_topics
    from outbox.worker.integration import configure

__all__ = [
    "Backoff",
    "Draft",
    "KeyReused",
    "Message",
    "Reject",
    "Snooze",
    "Superseded",
    "Unavailable",
    "configure",
    "consumer",
    "declare_topics",
    "publish",
    "publish_many",
]

__version__ = "0.1.0.dev0"

_HOME = {
    "Backoff": "policy",
    "Draft": "publishing",
    "KeyReused": "errors",
    "Message": "models",
    "Reject": "errors",
    "Snooze": "errors",
    "Superseded": "errors",
    "Unavailable": "errors",
    "configure": "worker.integration",
    "consumer": "registry",
    "declare_topics": "registry",
    "publish": "publishing",
    "publish_many": "publishing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'outbox' has no attribute {name!r}")
    return getattr(import_module(f"outbox.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
